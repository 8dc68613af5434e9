/*
 * Every event that a node logs. Names are stable: what reads logs may rely on them. A new event gets its line here, or the compiler
 * refuses it; a test refuses a line that nothing logs any more.
 */

/** What each event means, and what to do about it where that is not plain. */
export const logEvents = {
  // The server itself
  'facts.damaged': 'The disk has changed what was derived from a document: it is taken out, and derived anew.',
  'facts.not-kept': 'What a start is to find of documents could not be stored: it is tried again.',
  'facts.unreadable':
    'A document could not be read: nobody may hold it by what it grants, and nobody finds it by whom it names.',
  'node.serving': 'Clients and administrators are served, at these addresses; it has not started altogether yet.',
  'node.starting': 'It still learns what it must know of all documents; how far it has come.',
  'node.ready': 'It has started altogether, and serves at these addresses.',
  'node.not-started': 'It could not start altogether, and ends.',
  'node.draining': 'It sends its clients on, or hands over what only it holds.',
  'node.drained': 'It can end without anybody missing it; at warn: these documents may be here alone.',
  'node.stopping': 'It ends, because of this signal or a drain that was asked for.',
  'node.counted': 'What it counted since it started, by metric.',
  'node.stopped': 'It has ended in order.',
  'node.failed': 'It cannot go on: its disk takes nothing any more. It is to be started again.',
  'actor.failed': 'A part of it failed at a message and was restarted or given up. A fault of the program: report it.',
  'configuration.changed': 'A setting was changed in the running node.',
  'configuration.waiting': 'A setting has changed in the file that takes a start of the node.',
  'configuration.reloaded': 'The configuration was read again.',
  'configuration.refused': 'The configuration was read again and is wrong: nothing was changed.',
  'telemetry.export-failed': 'The collector of spans does not take them: they are dropped until it does.',
  'telemetry.exporting': 'The collector of spans takes them again.',
  'trace.begun': 'A client or a peer is traced from now on, as the operator has asked.',
  'trace.seen': 'Something that the client or the peer did, or had done, whose trace goes into the log.',
  'trace.ended': 'A trace has ended: its time was over, or the operator has asked.',
  'log.level': 'What is logged from now on.',
  'admin.exposed': 'The admin API listens beyond this machine, without TLS.',
  'admin.failed': 'The node failed at a request to the admin API. A fault of the program: report it.',
  'admin.audit-failed': 'A request to the admin API could not be recorded in the audit log.',

  // Clients
  'access.load': 'How busy the server is has changed its level; from overloaded on it turns new clients away.',
  'access.policy': 'The operator’s policy for its clients has changed.',
  'access.policy-unreadable': 'The operator’s policy cannot be read: what held before holds on.',
  'access.authentication-failed':
    'A client could not be authenticated because of a fault here. Its connection has this reference.',
  'access.method-failed': 'A command failed because of a fault here. The client was given this reference.',
  'listener.certificate-reloaded': 'The TLS certificate of the client listener was replaced by the newer one.',
  'listener.certificate-unusable': 'The newer TLS certificate cannot be used: the one before is kept.',
  'listener.port-lost':
    'The port of the client listener was given up for a moment, as more came than can wait, and cannot be bound again: no client can connect. Another program may listen there; it is tried again and again.',
  'listener.port-regained': 'After that: clients can connect again.',
  'listener.not-taken': 'A connection could not be taken: of the system, or of this process, something has run out.',
  'listener.decision-failed': 'A connection could not be let in because of a fault here.',
  'listener.answer-failed': 'An HTTP request of a client could not be answered because of a fault here.',
  'key-source.failed': 'The operator’s key server did not answer as it should.',
  'certificates.unreadable': 'The authorities or revocation lists for certificates of PNEs cannot be read.',

  // Links with other servers
  'federation.started': 'It listens for other servers at these addresses.',
  'link.up': 'A server has proved who it is, and synchronises.',
  'link.down': 'A link has ended, for this reason.',
  'link.reconciling': 'The two servers differ, and compare what both may hold.',
  'link.reconciled': 'The two servers hold the same.',
  'link.behind': 'The link cannot keep up: what waits for it is dropped, and reconciled later.',
  'link.fault': 'The other server broke the protocol. It is throttled, then cut off.',
  'link.not-told': 'A message for the other server was lost with its link: it is reconciled later.',
  'link.listener-failed': 'A part of the node failed at a change of a link. A fault of the program: report it.',
  'link.not-disconnected': 'A connection could not be closed.',
  'peer.refused': 'A server may not link, for this reason.',
  'peer.refuses': 'The other server does not let this one link, for this reason.',
  'peer.clock-skew':
    'The clock of the other server and this one’s differ so much that what is written is stamped wrongly.',
  'entries.refused': 'Entries of the other server did not pass the guard, for this reason; nothing of them is stored.',
  'entries.repeated': 'Entries came that were here already.',
  'ask.refused': 'The other server asked for a document that it may not hold.',
  'sync.failed': 'A document could not be synchronised because of a fault here.',
  'sync.unsettled': 'A document still differs after it was exchanged: it is tried again.',
  'quota.exceeded': 'An operator wants more of this server than its quota allows.',
  'command.failed': 'A forwarded command failed because of a fault here.',
  'command.refused': 'A forwarded command was refused.',
  'request.broken': 'A stream of forwarded commands ended in the middle.',
  'media.broken': 'A stream of media ended in the middle.',
  'reconciliation.reading': 'The index of what is stored is read: so many documents by now.',
  'reconciliation.ready': 'The index of what is stored is read; links compare all of it.',
  'reconciliation.index-unreadable': 'The index of what is stored cannot be read. Look at the disk, and start again.',
  'handover.unreadable': 'A document could not be looked at when the server drained: it may be here alone.',
  'succession.done': 'What servers wrote that are gone from the manifest was copied into logs of this one.',
  'succession.failed': 'What a server wrote that is gone from the manifest could not be copied; it is tried again.',
  'succession.broken': 'What is to be taken over of servers that are gone could not be looked up.',

  // Trust
  'trust.manifest': 'An operator has a newer manifest, which counts from now on.',
  'trust.pinned': 'An operator is trusted from now on.',
  'trust.repinned':
    'An operator is pinned to other root keys than before: what was remembered of its manifests is dropped.',
  'trust.distrusted': 'An operator is trusted no longer; its links are closed.',
  'authors.manifest':
    'An operator that this one does not federate with has a newer manifest: its entries are taken where this home vouches for it.',
  'authors.full': 'A home vouches for more operators than manifests of such are kept for.',
  'authors.contradicted':
    'A home vouched for other root keys than those that are pinned now: what was taken at its word was dropped, and is fetched anew.',
  'authors.failed': 'Manifests of operators that this one does not federate with could not be kept, or not be removed.',
  'trust.expires-soon': 'A manifest expires in so many days: its operator has to sign a new one.',
  'trust.expired': 'A manifest has expired: nobody links with its servers until there is a new one.',
  'trust.equivocation': 'An operator, or a thief of its root keys, signed two manifests that exclude each other.',
  'manifest.refused': 'A manifest does not count, for this reason.',
  'manifest.unusable': 'The file of a manifest was replaced by what is none.',
  'evidence.kept': 'A proof that an operator signed what excludes each other is kept: cpns peer evidence.',
  'evidence.not-kept': 'There is a further proof against an operator, of whom enough are kept.',
  'evidence.failed': 'A proof could not be kept.',
  'quarantine.imposed': 'An operator is kept off, as said at this server of the own operator.',
  'quarantine.released': 'An operator is kept off no longer.',
  'quarantine.unreadable': 'Who is kept off could not be read: what held before holds on.',

  // Documents and the store
  'document.equivocation': 'A server signed two entries with one number: its log is cut there on every replica.',
  'document.damaged':
    'The disk has changed this record: the document is refused here until another server has made it whole.',
  'document.mended': 'Another server has made a damaged document whole.',
  'document.not-mended': 'A damaged document could not be mended because of a fault here.',
  'document.remains-refused': 'A part of a damaged document is no entry any more, for this reason.',
  'document.given-up':
    'The operator has given up what the disk took from a document: what is left of it counts from now on.',
  'document.not-stored': 'Entries could not be written to the disk; nobody was told that they are stored.',
  'document.compaction-failed': 'A log could not be compacted; it is tried again.',
  'document.listener-failed': 'A part of the node failed at a change of a document. A fault of the program: report it.',
  'document.observer-failed': 'A reader failed at a change of a document. A fault of the program: report it.',
  'store.not-erased':
    'What was removed could not be erased from the files yet, for the disk is full or failed: it is tried again each minute, and when the server is started again, which a failed disk takes.',
  'store.scrubbed': 'Everything stored was read through once.',
  'store.record-damaged': 'The disk has changed a record that no other server has.',
  'store.scrub-failed': 'Reading everything through ended early.',

  // Personal Networks
  'inventory.grants.unreadable':
    'Whether a Personal Network is still granted to this operator could not be read: its replica stays.',
  'inventory.memory.swept': 'Remembered answers that are too old to be asked for again were forgotten.',
  'inventory.memory.sweep-failed': 'Remembered answers could not be forgotten.',
  'inventory.registers.ignored':
    'A document has registers that mean nothing here: of a newer release, or of a broken server.',
  'inventory.replica.dropped':
    'This operator’s grant has ended: its replica of the Personal Network is gone from the disk.',
  'inventory.replica.not-dropped': 'A replica whose grant has ended could not be dropped; it is tried again.',
  'inventory.revocation.told': 'An operator was told that its grant is revoked.',
  'inventory.revocation.not-told': 'An operator could not be told that its grant is revoked; it is tried again.',
  'inventory.revocation.not-remembered': 'Whom a revocation has to be told could not be written down.',
  'inventory.revocation.unreadable': 'What is written down of a revocation cannot be read.',
  'inventory.revocation.given-back': 'A home operator still sent what its revoked grant gave: it was told so again.',
  'inventory.revocation.not-given-back':
    'A home operator that still sends what its revoked grant gave could not be told so; it is tried again.',
  'inventory.waiting.failed':
    'Commands that wait for an operator that cannot be reached could not be sent because of a fault here.',
  'inventory.waiting.unreadable': 'A command that waits for an operator cannot be read.',
  'notices.refused': 'Notices for devices were refused that another server sent.',
  'notices.too-large': 'A notice is too large to be sent on.',
  'notices.not-taken': 'Another server did not take notices for devices.',
  'notices.not-sent': 'Notices for devices could not be sent to another server.',
  'presence.not-taken': 'Another server did not take who is there.',
  'presence.not-sent': 'Who is there could not be sent to another server.',
  'presence.not-told': 'Who is there could not be told because of a fault here.',
  'invitations.refused': 'Another operator did not take an invitation.',
  'invitations.not-sent': 'An invitation could not be sent; it is tried again.',
  'invitations.send-failed': 'Invitations could not be sent because of a fault here.',
  'secure.method-failed': 'A method inside a secure session failed because of a fault here.',
  'secure.notice.dropped': 'A notice inside a secure session was dropped: the session has too much to do.',
  'secure.notice.not-pushed': 'A notice inside a secure session could not be sent because of a fault here.',

  // Message storage and channels
  'storage.index-unread':
    'An index part of a granted mailbox could not be read; what it names comes when the link is made anew.',
  'storage.grant.ended':
    'Another operator has said that its grant has ended by which a mailbox is held here, which was revoked while no link was up.',
  'storage.grant.not-asked':
    'Another operator could not be asked whether its grants stand; it is asked again within the hour, or with the next link.',
  'storage.replica.dropped': 'This operator may hold a mailbox no longer: its replica is gone from the disk.',
  'storage.replica.not-dropped':
    'A replica of a mailbox whose grant has ended could not be dropped; it is tried again.',
  'storage.grants.unreadable':
    'What is held of a mailbox whose grants have changed could not be read; it is tried again, and links go on with what they know.',
  'storage.erasure-failed': 'A user could not be erased wholly; it is tried again.',
  'storage.upkeep-failed':
    'Retention could not be seen to in a mailbox, or in those that could not be listed; it is tried again.',
  'storage.notifying-failed': 'Devices of a mailbox could not be told of changes because of a fault here.',
  'storage.notifying-not-resumed': 'Which devices are to be told could not be read after the start.',
  'storage.push-failed': 'A push service could not be used because of a fault here.',
  'storage.push-refused': 'A push service did not take a notification.',
  'storage.push-not-dropped': 'An endpoint that its push service knows no longer could not be forgotten.',
  'storage.told-not-kept': 'Which devices were told could not be written down: some are told again after a restart.',
  'media.corrupt': 'The disk has changed a media: it is refused until another server has brought it.',
  'media.fetch-failed': 'A media could not be fetched from another server.',
  'media.mailbox-removed': 'The media of a mailbox that is gone are removed.',
  'media.not-collected': 'Media that nothing refers to could not be looked for; it is tried again.',
  'media.not-removed': 'The media of a mailbox that is gone could not be removed; it is tried again.',
  'search.index-lost': 'The search index cannot be used and is made anew from the mailboxes.',
  'search.index-failed': 'A mailbox could not be indexed; it is tried again.',
  'search.sweep-failed': 'What is gone could not be taken out of the search index; it is tried again.',
  'channels.unreadable': 'Registrations of applications could not be read.',
  'channels.upkeep-failed': 'Registrations of applications that have expired could not be removed; it is tried again.',
} as const satisfies Readonly<Record<string, string>>

/** The name of an event in the log. */
export type LogEventName = keyof typeof logEvents
