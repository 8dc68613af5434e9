import { Command, Option } from 'commander'
import { configOption, jsonOption } from './options.ts'
import { evidence } from './peer-evidence.ts'
import { listPeers } from './peer-list.ts'
import { quarantinePeer, releasePeer } from './peer-quarantine.ts'
import { revokePeer, trustPeer } from './peer-trust.ts'

/** `cpns peer …`: which other operators this server works with. */
export function peerCommand(): Command {
  const operator = ['<operator>', 'as cpns peer list names it'] as const

  const list = new Command('list')
    .description(
      'Lists the operators that are trusted: their manifests, and if the node runs here links and quarantine.',
    )
    .addOption(configOption())
    .addOption(jsonOption())
    .action(listPeers)

  const trust = new Command('trust')
    .description(
      'Trusts an operator: pins the root keys of its manifest. Compare the fingerprint with the operator first.',
    )
    .argument('<manifest-file>', 'the manifest.json that the operator gave you')
    .addOption(configOption())
    .addOption(jsonOption())
    .action(trustPeer)

  const revoke = new Command('revoke')
    .description(
      'Trusts an operator no longer: the node that runs here closes its links at once, others of yours when this is done there. What it holds of yours it keeps: revoke grants first.',
    )
    .argument(...operator)
    .addOption(configOption())
    .addOption(jsonOption())
    .action(revokePeer)

  const quarantine = new Command('quarantine')
    .description(
      'Has nothing to do with an operator any more, at all your servers, until it is released: no links, nothing taken or forwarded. What is held of it stays. The node has to run.',
    )
    .argument(...operator)
    .requiredOption('--why <text>', 'for whoever releases it')
    .addOption(configOption())
    .addOption(jsonOption())
    .action(quarantinePeer)

  const release = new Command('release')
    .description('Works with an operator again that is in quarantine. The node has to run.')
    .argument(...operator)
    .addOption(configOption())
    .addOption(jsonOption())
    .action(releasePeer)

  const proof = new Command('evidence')
    .description(
      'Lists what proves that operators, or thieves of their keys, signed things that exclude each other: two entries of one log with one number, or two such manifests.',
    )
    .argument('[operator]', 'left out: all')
    .addOption(new Option('--export <file>', 'writes it to a file, for others to check'))
    .addOption(new Option('--verify <file>', 'checks such a file, whoever it comes from').conflicts('export'))
    .addOption(configOption())
    .addOption(jsonOption())
    .action(evidence)

  const all = new Command('peer').description('Operators that this server works with.')
  for (const one of [list, trust, revoke, quarantine, release, proof]) all.addCommand(one)
  return all
}
