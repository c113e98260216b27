/** A call's body in a line for people. Every part is made visible: paths and names come from hostile processes. */
import { CALL_SHAPES, type CallBody, type CallSocket } from './call-model.js'
import { resultName } from './errno.js'
import { visible } from './visible.js'

/** As a shell would need it, so that the bounds of each part show. */
export function quoted(text: string): string {
  const shown = visible(text)
  return /^[\p{L}\p{N}@%+=:,./_-]+$/u.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`
}

export function callSummary(body: CallBody): string {
  const words: string[] = []
  if (body.path !== '') words.push(quoted(body.path))
  if (body.newPath !== '') words.push('→', quoted(body.newPath))
  if (body.socket !== undefined) words.push(visible(endsOf(body.socket)))
  if (body.target !== undefined) words.push(targetOf(body))
  const shown = CALL_SHAPES[body.act].args.flatMap((name) => {
    const text = body.args[name]
    return text === undefined || text === '' ? [] : [`${name}=${quoted(text)}`]
  })
  words.push(...shown, ...notesOf(body))
  if (body.result !== undefined && body.result < 0n) words.push(`failed: ${resultName(body.result)}`)
  if (body.repeatsCount > 0) words.push(`(and ${body.repeatsCount} times since the last)`)
  return words.join(' ')
}

function endsOf(socket: CallSocket): string {
  if (socket.localIp === '' && socket.remoteIp === '') return socket.family
  const side = (ip: string, port: number) => (ip === '' ? '' : `${ip.includes(':') ? `[${ip}]` : ip}:${port}`)
  return `${side(socket.localIp, socket.localPort)}→${side(socket.remoteIp, socket.remotePort)}/${socket.proto}`
}

function targetOf({ target }: CallBody): string {
  if (target === undefined) return ''
  const exe = target.exe === '' ? '' : ` ${quoted(target.exe)}`
  const where = target.containerName === '' ? '' : ` in ${visible(target.containerName)}`
  return target.pid === 0 ? where.trim() : `pid ${target.pid}${exe}${where}`
}

function notesOf(body: CallBody): string[] {
  const notes: string[] = []
  if (body.created) notes.push('(made)')
  if (body.memfd) notes.push('(in memory)')
  else if (body.deleted) notes.push('(deleted)')
  if (body.upperLayer) notes.push('(not from the image)')
  if (body.abi !== 'native') notes.push(`(${body.abi})`)
  if (body.ioUring) notes.push('(io_uring)')
  return notes
}
