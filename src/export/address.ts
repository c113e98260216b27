/** How collectors are named. */

/** A collector's address as grpc-js takes it: `HOST:PORT`, `[V6]:PORT` or `unix:PATH`. Undefined: none of these. */
export function grpcTarget(address: string): string | undefined {
  if (/^unix:\/?[^\0]+$/.test(address)) return address
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(address)
  return match !== null && Number(match[2]) <= 65_535 ? `dns:${address}` : undefined
}
