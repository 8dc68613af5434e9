/** What `cpns init` knows of a new node. */
export interface NewNode {
  readonly operator: string
  readonly fingerprint: string
  readonly listen: string
  readonly host: string
  /** As text: it is checked with the rest of the configuration. */
  readonly port: string
}

/** A commented `cpns.toml`. */
export const configurationText = ({ operator, fingerprint, listen, host, port }: NewNode): string => `\
# A CPNS server. Each setting can also be given as an environment variable (CPNS_CLIENTS_PORT=4681) or, to
# "cpns start", as a flag (--set clients.port=4681). Paths are relative to this file.

operator = "${operator}"

# The document store.
data = "data"

# What this operator says about itself, signed by its root key: cpns manifest sign
manifest = "manifest.json"

# Who may attach, and with what, encrypted: cpns subscriber add
subscribers = "subscribers.json"

[peers]
# Multiaddresses for other servers.
listen = ["${listen}"]
# Manifests of trusted operators.
folder = "peers"
# With many servers of one operator: the few of them that this one links with. Left out: all.
# neighbours = ["12D3KooW…"]
#
# What each other operator may have of this server: documents that it owns, their bytes, and how fast its servers send entries
# and connect. [peers.quotas."b.example"] says the same for one of them. These are the usual values.
# [peers.quota]
# documents = 1000000
# bytes = 68719476736
# entriesPerSecond = 20000
# handshakesPerMinute = 600

[keys]
# This server's identity; never copy it to another machine.
server = "keys/server.key"
# Shared by all servers of the operator: cpns secret export, cpns secret import
secrets = "keys/operator.secrets"
# What the subscribers are encrypted under: cpns subscriber rekey
subscribers = "keys/subscribers.key"

# Subscribers from a key server of yours instead: GET <url>/subscribers/<identity>
# [keySource]
# url = "https://keys.${operator}/v1"
# tokenFile = "keys/key-source.token"
# Or, and also, known by a certificate: certificate, key, and authority (PEM files).

# Authorities whose certificates PNEs may register with (cpns subscriber add --x509), and their revocation lists: PEM or
# DER files, reloaded when they change. An issuer whose list has run out is believed nothing until there is a new one.
# [certificates]
# anchors = ["ca/root.pem"]
# revocations = ["ca/root.crl.pem"]

[clients]
# Plain websockets are refused beyond loopback: there, set certificate and key (PEM files, reloaded when they change),
# or behindProxy = true if a proxy terminates TLS. Web pages may connect from the origins listed.
host = "${host}"
port = ${port}
# certificate = "tls/chain.pem"
# key = "tls/key.pem"
# behindProxy = false
# origins = ["https://app.${operator}"]
# Messages a second, in the long run: of one session, and of all sessions of one subscriber.
# framesOfSession = 500
# framesOfOne = 1000

# What users' devices may have of message storage, and how they are told of changes; these are the usual values.
# [storage.devices]
# maxPerUser = 32
# minPeriodMs = 60000
# maxMediaBytes = 1073741824
# content = ["full", "list", "links"]
# notify = ["none", "websocket", "push"]
#
# Web Push reaches devices that are not attached; left out, hosts are all in the public network.
# [storage.push]
# enabled = true
# contact = "mailto:postmaster@${operator}"
# hosts = ["fcm.googleapis.com", "*.push.services.mozilla.com", "*.push.apple.com", "*.notify.windows.com"]

# Whether an overloaded server turns new clients away, or sends them to another one.
# [load]
# controlled = true

# Status, metrics and actions over HTTP, for whoever has a token: cpns token create. On this machine the commands of
# cpns need none: they use the socket in the data folder.
# [admin]
# listen = "127.0.0.1:4690"

# A collector of OpenTelemetry that spans are sent to, and the share of traces that is.
# [telemetry]
# otlp = "http://127.0.0.1:4318"
# ratio = 1.0

[log]
# debug, info, warn or error
level = "info"

# Operators that this server works with, each pinned to the fingerprint of its root keys: cpns peer trust FILE
[trust]
"${operator}" = "${fingerprint}"
`
