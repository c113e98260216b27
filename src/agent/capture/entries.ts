/**
 * The JSON entries of a capture: identities and processes as the agent holds them, told and taken back. What is read is
 * checked by type against a template of the agent's own types, so a capture cannot put anything else into them.
 */
import type { Identity, Mount } from '../../container/identity.js'
import { containerToJson, parseContainer } from '../../record/json.js'
import { type Fields, fieldsOf } from '../../record/json-fields.js'
import { type ContainerRef, HOST } from '../../record/model.js'
import { ProcessImage } from '../process/image.js'
import { imageOf, type ProcessEntry, type ProcessFacts } from '../process/process-table.js'

/** A container, or what is not (yet) one, under the number that the file's other entries name it by. */
export interface CapturedIdentity {
  number: number
  identity: Identity
  /** Kinds of events that were on for it. */
  kinds: readonly string[]
}

const IDENTITY: Required<Omit<Identity, 'ref' | 'mounts' | 'sharesHostPids'>> = {
  confirmed: false,
  rootCgroupId: 0n,
  rootLevel: 0,
  cgroupPath: '',
  initPid: 0,
  initStartTicks: 0n,
  privileged: false,
  createdMs: 0,
  ownerUid: 0,
}

const PROCESS: Required<Omit<ProcessEntry, 'facts' | 'image' | 'ref' | 'vpid'>> = {
  pid: 0,
  startNs: 0n,
  parentPid: 0,
  parentStartNs: 0n,
  exe: '',
  invoked: '',
  args: [],
  cwd: '',
  uid: 0,
  gid: 0,
  phase: 'run',
}

const FACTS: ProcessFacts = {
  flags: 0,
  inode: 0n,
  capPermitted: 0n,
  capEffective: 0n,
  capInheritable: 0n,
  loginuid: 0,
  tty: 0,
  vpgid: 0,
  sid: 0,
}

const MOUNT: Mount = { source: '', destination: '', mode: '', isWritable: false, propagation: '' }

export function identityToJson(number: number, identity: Identity, kinds: readonly string[]): object {
  const { ref, mounts } = identity
  const { user, privileged } = ref // selectors ask for them; what is unknown is left out
  return { number, ref: { ...containerToJson(ref), user, privileged }, kinds, mounts, ...picked(identity, IDENTITY) }
}

export function parseIdentity(json: unknown): CapturedIdentity {
  const fields = fieldsOf(json, 'container')
  const ref = parseRef(fields.object('ref'))
  const facts = readLike(fields, IDENTITY)
  return {
    number: fields.count('number'),
    kinds: fields.texts('kinds'),
    identity: {
      ...facts,
      mounts: fields.has('mounts') ? fields.objects('mounts').map((mount) => readLike(mount, MOUNT)) : [],
      initPid: fields.has('initPid') ? facts.initPid : undefined,
      initStartTicks: fields.has('initStartTicks') ? facts.initStartTicks : undefined,
      sharesHostPids: undefined,
      privileged: fields.has('privileged') ? facts.privileged : undefined,
      createdMs: fields.has('createdMs') ? facts.createdMs : undefined,
      ownerUid: fields.has('ownerUid') ? facts.ownerUid : undefined,
      ref: ref.state === 'host' ? HOST : ref,
    },
  }
}

function parseRef(fields: Fields): ContainerRef {
  return Object.freeze({
    ...parseContainer(fields),
    ...(fields.has('user') ? { user: fields.text('user') } : {}),
    ...(fields.has('privileged') ? { privileged: fields.flag('privileged') } : {}),
  })
}

export function processToJson(entry: ProcessEntry): object {
  const { facts, vpid } = entry
  const comm = imageOf(entry).name
  return {
    ...picked(entry, PROCESS),
    comm: comm === undefined ? '' : new TextDecoder().decode(comm.bytes),
    ...(vpid === undefined ? {} : { vpid }),
    ...(facts === undefined ? {} : { facts: picked(facts, FACTS) }),
  }
}

export function parseProcess(json: unknown): ProcessEntry {
  const fields = fieldsOf(json, 'process')
  const entry = readLike(fields, PROCESS)
  const { exe, cwd, args } = entry
  return {
    ...entry,
    phase: fields.oneOf('phase', ['run', 'setup']),
    vpid: fields.has('vpid') ? fields.count('vpid') : undefined,
    facts: fields.has('facts') ? readLike(fields.object('facts'), FACTS) : undefined,
    image: fields.has('comm') ? ProcessImage.ofTexts({ comm: fields.text('comm'), exe, cwd, args }) : undefined,
  }
}

/** The template's fields of a value; those that it lacks are left out. */
function picked<T extends object>(value: { [Key in keyof T]?: unknown }, template: T): object {
  const keys = Object.keys(template) as (keyof T)[]
  return Object.fromEntries(keys.flatMap((key) => (value[key] === undefined ? [] : [[key, value[key]]])))
}

/** As the template, with what the entry holds; what it lacks stays as in the template (a capture of an older version). */
export function readLike<T extends object>(fields: Fields, template: T): T {
  const read = Object.entries(template).map(([key, preset]: [string, unknown]) => {
    if (!fields.has(key)) return [key, preset]
    if (typeof preset === 'bigint') return [key, fields.big(key)]
    if (typeof preset === 'number') return [key, fields.count(key)]
    if (typeof preset === 'boolean') return [key, fields.flag(key)]
    return [key, Array.isArray(preset) ? fields.texts(key) : fields.text(key)]
  })
  // Each value has just been read as what the template holds there.
  return Object.fromEntries(read) as T
}
