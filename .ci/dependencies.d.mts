export function objection(file: string, imported: string): string | undefined
export function importsOf(source: string): string[]
