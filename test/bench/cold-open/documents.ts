/* What the documents of this benchmark are called, and hold. */

export const keysOfDocument = 20
/** In the content of each: whoever has received it has received all, since the servers send a document's content in one frame. */
export const contentMark = 'The last word of this document.'

export const networkOf = (index: number): string => `n-${index}`
/** Each document has an owner of its own, as one subscriber may send only so many frames a second. */
export const subscriberOf = (index: number): string => `client-${index}`
