/** Fields of the names in DNS, TLS and HTTP. */
import type { FieldValues } from '../../match/conditions/values.js'
import type { DnsMessage } from '../../sensor/names/dns.js'
import type { RequestHead } from '../../sensor/names/http.js'
import type { ClientHello } from '../../sensor/names/tls.js'
import { TEXTS } from '../process/texts.js'
import type { Extractor, Extractors } from './extractor.js'

type From<Body> = (body: Body, into: FieldValues) => void

const ofDns =
  (read: From<DnsMessage>): Extractor =>
  ({ name }, into) => {
    if (name?.kind === 'dns') read(name.dns, into)
  }

const ofTls =
  (read: From<ClientHello>): Extractor =>
  ({ name }, into) => {
    if (name?.kind === 'tls') read(name.tls, into)
  }

const ofHttp =
  (read: From<RequestHead>): Extractor =>
  ({ name }, into) => {
    if (name?.kind === 'http') read(name.http, into)
  }

/** An empty text is one that the message does not have. */
function addIfThere(into: FieldValues, text: string): void {
  if (text !== '') into.addText(TEXTS.ofString(text))
}

function addList(into: FieldValues, texts: readonly string[]): void {
  if (texts.length === 0) into.setEmptyList()
  for (const text of texts) into.addText(TEXTS.ofString(text))
}

/** The port of `name:port`, `1.2.3.4:port` and `[::1]:port`; a dot may end the name before it. */
const PORT = /\.?:\d*$/

export const NAME_FIELDS: Extractors = {
  'dns.message': ofDns(({ isAnswer }, into) => into.addText(TEXTS.ofString(isAnswer ? 'answer' : 'query'))),
  'dns.id': ofDns(({ id }, into) => into.addNumber(id)),
  // the root is a name too
  'dns.question.name': ofDns(({ query }, into) => into.addText(TEXTS.ofString(query))),
  'dns.question.type': ofDns(({ qtype }, into) => addIfThere(into, qtype)),
  'dns.rcode': ofDns(({ rcode }, into) => addIfThere(into, rcode)),
  'dns.answers': ofDns(({ answers }, into) => addList(into, answers)),
  'dns.is_truncated': ofDns(({ isTruncated }, into) => into.addBoolean(isTruncated)),
  'tls.sni': ofTls(({ sni }, into) => addIfThere(into, sni)),
  'tls.alpn': ofTls(({ alpn }, into) => addList(into, alpn)),
  'tls.has_encrypted_hello': ofTls(({ hasEncryptedHello }, into) => into.addBoolean(hasEncryptedHello)),
  'tls.is_truncated': ofTls(({ isTruncated }, into) => into.addBoolean(isTruncated)),
  'http.method': ofHttp(({ method }, into) => into.addText(TEXTS.ofString(method))),
  'http.host': ofHttp(({ host }, into) => addIfThere(into, host.replace(PORT, ''))),
  'http.path': ofHttp(({ path }, into) => addIfThere(into, path)),
  'http.is_truncated': ofHttp(({ isTruncated }, into) => into.addBoolean(isTruncated)),
}
