import { type Catalogue, type Described, processCatalogue } from '../../adapters/metrics.ts'

/*
 * Every metric that a node exports: what it means, and its labels. Each label has few values, all of them known: reasons, states, methods,
 * statuses, and operators that this one trusts. No label names a user, a client, a document or what somebody sent.
 */

const counter = (help: string, ...labels: string[]): Described => ({ kind: 'counter', help, labels })
const gauge = (help: string, ...labels: string[]): Described => ({ kind: 'gauge', help, labels })
const seconds = (help: string, buckets: readonly number[], ...labels: string[]): Described => ({
  ...{ kind: 'histogram', help, labels, buckets },
})

/** From what a disk with a cache does to what a client does not wait for any more. */
const commitBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]
const requestBuckets = [0.005, 0.025, 0.1, 0.25, 1, 5, 30]

/** Of clients. */
const access = {
  cpns_access_requests_total: counter('Requests of clients, by method and status of the answer.', 'method', 'status'),
  cpns_access_request_duration_seconds: seconds('From a request of a client to its answer.', requestBuckets, 'method'),
  cpns_access_authentications_total: counter('Attempts of clients to prove who they are.', 'mechanism', 'outcome'),
  cpns_access_admissions_total: counter(
    'What clients were told that asked to be let in: admitted, redirected, direct, busy or limited.',
    'verdict',
  ),
  cpns_access_closed_total: counter('Connections of clients that were closed, and why.', 'why'),
  cpns_access_upgrades_refused_total: counter('Clients refused before there was a websocket.', 'status'),
  cpns_access_load_changes_total: counter('Changes of the load level, by the new one.', 'level'),
  cpns_access_shed_total: counter('Clients that were sent on because turning strangers away did not help.'),
  cpns_listener_shut_total: counter(
    'How often the websocket listener gave its port up for a moment, as so many waited as may: the system refused who came then.',
  ),
  cpns_listener_refused_total: counter('Connections that the websocket listener refused.', 'reason'),
  cpns_listener_requests_cut_total: counter('HTTP requests that ended before their answer did.', 'reason'),
  cpns_connections: gauge('Connections of clients.'),
  cpns_sessions: gauge('Connections whose client has proved who it is.'),
} satisfies Catalogue

/** How busy the node is. */
const load = {
  cpns_load_level: gauge('1 for the level that holds: normal, elevated, overloaded, shedding or draining.', 'level'),
  cpns_ready: gauge('1 when clients may be sent here.'),
  cpns_start_progress_ratio: gauge('How far the start has come, 0 to 1: 1 when it is through.'),
  cpns_event_loop_delay_seconds: gauge('Longest delay of the event loop within the last second.'),
  cpns_event_loop_utilisation_ratio: gauge('How busy the event loop was over five seconds, 0 to 1.'),
  cpns_memory_used_ratio: gauge('Heap or memory in use, of what the process may have, 0 to 1.'),
  cpns_authentication_wait_seconds: gauge('The shortest time that an authentication waited of late.'),
  cpns_commit_duration_p99_seconds: gauge('99th percentile of the latest durable commits, as admission sees it.'),
  cpns_connections_used_ratio: gauge('Connections of those that there may be, 0 to 1.'),
  cpns_actor_failures_total: counter('Failures of actors, by what became of them.', 'outcome'),
  cpns_draining: gauge('1 while the node drains.'),
  cpns_drain_left: gauge('What is left to be moved (clients) or handed over (documents) while it drains.', 'phase'),
} satisfies Catalogue

/** Documents and the disk. */
const documents = {
  cpns_documents_held: gauge('Documents on this disk; fewer while the index is read after the start.'),
  cpns_documents_active: gauge('Documents in memory.'),
  cpns_documents_unshared: gauge('Documents that no other server has said to hold as they are here.'),
  cpns_documents_damaged: gauge('Documents that are damaged on this disk, and not repaired yet.'),
  cpns_documents_damaged_total: counter('Documents that were found damaged on this disk.'),
  cpns_documents_mended_total: counter('Damaged documents that were made whole again.'),
  cpns_records_damaged_total: counter('Records that reading the store through found damaged.'),
  cpns_documents_unsettled_total: counter('Documents that two servers could not make the same in one go.'),
  cpns_store_commit_duration_seconds: seconds('How long durable commits took.', commitBuckets),
  cpns_store_commit_failures_total: counter('Commits that the store refused, or whose outcome it does not know.'),
  cpns_store_entries_total: counter('Entries that were stored, of this server and of others.'),
  cpns_store_entry_bytes_total: counter('Bytes of these.'),
  cpns_store_free_bytes: gauge('Room on the disk of the document store.'),
  cpns_compactions_total: counter('Logs that were compacted.'),
  cpns_replicas_dropped_total: counter('Documents that were dropped because their owner withdrew them.'),
  cpns_equivocations_total: counter('Logs in which a server wrote two entries with one number.'),
} satisfies Catalogue

/** Other servers. */
const federation = {
  cpns_links: gauge('Links to other servers, by operator and state.', 'operator', 'state'),
  cpns_link_documents_waiting: gauge(
    'Documents of which something waits to be sent to servers of an operator, or is being got from them.',
    'operator',
    'direction',
  ),
  cpns_link_behind_total: counter('Times that a peer could not keep up, and is reconciled with instead.'),
  cpns_peer_clock_skew_seconds: gauge(
    'How far the clock of a server of an operator is off, the worst of them.',
    'operator',
  ),
  cpns_peer_clock_uncertainty_seconds: gauge(
    'How sure that is, for the same server: half of the way to it and back. Absent until measured.',
    'operator',
  ),
  cpns_clock_alarms_total: counter('Peers whose clock was found to be off by more than is borne.'),
  cpns_peer_refused_total: counter('Peers that were refused, and why.', 'reason'),
  cpns_reconciliations_total: counter('Rounds after which a peer and this server held the same.'),
  cpns_sync_failures_total: counter('Documents that could not be synchronised.'),
  cpns_entries_received_total: counter('Entries of peers that were new, and are stored.'),
  cpns_entries_repeated_total: counter('Entries of peers that were here already.'),
  cpns_entries_delayed_total: counter('Frames of entries that waited because their operator sent more than its share.'),
  cpns_peer_quota_used_ratio: gauge(
    'What another operator has of the documents and bytes that it may have here, 0 to 1.',
    'operator',
    'quota',
  ),
  cpns_entries_refused_total: counter('Entries of peers that were refused, and why.', 'reason'),
  cpns_asks_refused_total: counter('Documents that peers asked for and may not have, and why.', 'reason'),
  cpns_link_faults_total: counter('Links that ended because of what the peer did, or did not do.', 'fault'),
  cpns_requests_kept_back_total: counter('Requests that an operator asked not to be forwarded for now.', 'operator'),
  cpns_manifest_expiry_timestamp_seconds: gauge(
    'When the manifest of an operator runs out, in seconds since 1970.',
    'operator',
  ),
  cpns_manifests_refused_total: counter('Manifests that were refused, and why.', 'reason'),
  cpns_manifest_equivocations_total: counter('Operators that signed two manifests with one number.'),
  cpns_evidence_not_kept_total: counter('Evidence against operators that there was no room for.'),
} satisfies Catalogue

/** What clients have done. */
const services = {
  cpns_commands_refused_total: counter('Forwarded commands that were refused, by status.', 'reason'),
  cpns_commands_kept_total: counter('Commands that wait for an operator that is out of reach.', 'method'),
  cpns_commands_completed_total: counter('Of these, the ones that are over, and how.', 'method', 'state'),
  cpns_inventory_ignored_registers_total: counter('Registers of other operators that mean nothing here.'),
  cpns_notices_refused_total: counter('Notices of other operators that were refused, and why.', 'reason'),
  cpns_secure_sessions_total: counter('Sessions of PNEs end to end with their operator.', 'event'),
  cpns_key_source_questions_total: counter('Questions to the key server, and what became of them.', 'outcome'),
  cpns_archives_total: counter('Exports and imports of mailboxes.', 'method', 'outcome'),
  cpns_media_requests_total: counter('Requests for media.', 'method', 'status'),
  cpns_media_served_bytes_total: counter('Bytes of media that were sent to clients.'),
  cpns_media_fetched_total: counter('Media that were fetched from other servers.'),
  cpns_media_fetched_bytes_total: counter('Bytes of these.'),
  cpns_media_fetch_refused_total: counter('Media that other servers had, and did not give.'),
  cpns_media_corrupt_total: counter('Media that were not what their name says.'),
  cpns_media_collected_total: counter('Media that nothing names any more, and were removed.'),
  cpns_search_failures_total: counter('Times that the search index could not be kept.'),
  cpns_storage_erasures_total: counter('Documents of expunged content that were erased.'),
  cpns_storage_notifications_total: counter('Devices that were told of changes.', 'way'),
  cpns_storage_pushes_total: counter('Pushes, and what the push service said.', 'outcome', 'reason'),
  cpns_storage_pushes_given_up_total: counter('Pushes that were given up.'),
  cpns_channel_requests_total: counter('Requests of application servers.', 'method', 'status'),
  cpns_channel_messages_taken_total: counter('Messages taken from application servers.', 'urgency'),
  cpns_channel_messages_given_total: counter('Messages given to applications.'),
  cpns_channel_messages_acknowledged_total: counter('Messages that applications have acknowledged.'),
} satisfies Catalogue

/** The process and its operation. */
const operation = {
  cpns_build_info: gauge('1, with the release and the Node that it runs on.', 'version', 'node'),
  cpns_admin_refused_total: counter('Requests to the admin API that were refused, by status.', 'status'),
  cpns_spans_exported_total: counter('Spans that a collector of OpenTelemetry has taken.'),
  cpns_spans_dropped_total: counter('Spans that were dropped: there was no room, or no collector.', 'reason'),
  cpns_log_lines_lost_total: counter('Lines of the log that could not be written.'),
} satisfies Catalogue

export const catalogue = {
  ...access,
  ...load,
  ...documents,
  ...federation,
  ...services,
  ...operation,
  ...processCatalogue,
} satisfies Catalogue

export type MetricName = keyof typeof catalogue
