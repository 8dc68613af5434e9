import { Option } from 'commander'

/** Where the node's configuration is. */
export const configOption = () => new Option('--config <file>', 'configuration file').default('cpns.toml')
