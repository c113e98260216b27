/** Fields of the process that acted, its ancestors and its user. */
import type { FieldValues, InternedText } from '../../match/conditions/values.js'
import { ExecFlag } from '../../sensor/generated/abi.js'
import type { NameSource } from '../host/users.js'
import type { ProcessImage } from '../process/image.js'
import { imageOf, type ProcessEntry } from '../process/process-table.js'
import { TEXTS } from '../process/texts.js'
import { capabilitiesText } from './capabilities.js'
import type { EventContext } from './context.js'
import { addBigint, addText, type Extractor, type Extractors } from './extractor.js'

const HALF = 0x1_0000_0000
const NO_LOGIN = 0xffff_ffff

type ImageText = (image: ProcessImage) => InternedText | undefined

const NAME: ImageText = (image) => image.name
const EXE: ImageText = (image) => image.exe
const EXE_PATH: ImageText = (image) => image.exePath
const CMDLINE: ImageText = (image) => image.cmdline

function own(text: ImageText): Extractor {
  return ({ process }, into) => addText(into, text(imageOf(process)))
}

function parents(text: ImageText): Extractor {
  return (context, into) => {
    const parent = context.ancestor(1)
    if (parent !== undefined) addText(into, text(imageOf(parent)))
  }
}

/** With a number that ancestor, 1 the parent and 0 the process; without, all of them from the parent on. */
function ancestors(add: (entry: ProcessEntry, into: FieldValues) => void): Extractor {
  return (context, into, argument) => {
    if (argument !== undefined) {
      const ancestor = argument.number < 0 ? undefined : context.ancestor(argument.number)
      if (ancestor !== undefined) add(ancestor, into)
      return
    }
    for (let generation = 1; ; generation++) {
      const ancestor = context.ancestor(generation)
      if (ancestor === undefined) return
      add(ancestor, into)
    }
  }
}

function ancestorTexts(text: ImageText): Extractor {
  return ancestors((entry, into) => addText(into, text(imageOf(entry))))
}

function hasFlag(flag: number): Extractor {
  return ({ process: { facts } }, into) => {
    if (facts !== undefined) into.addBoolean((facts.flags & flag) !== 0)
  }
}

function capabilities(which: 'capPermitted' | 'capEffective' | 'capInheritable'): Extractor {
  return ({ process: { facts } }, into) => {
    if (facts !== undefined) into.addText(capabilitiesText(facts[which]))
  }
}

function fact(which: 'tty' | 'vpgid' | 'sid'): Extractor {
  return ({ process: { facts } }, into) => {
    if (facts !== undefined) into.addNumber(facts[which])
  }
}

/** Session leaders lead their group too: the nearest ancestor, or the process itself, whose own id is the session's. */
function sessionLeader(context: EventContext): ProcessEntry | undefined {
  const { facts } = context.process
  if (facts === undefined) return undefined
  for (let generation = 0; ; generation++) {
    const entry = context.ancestor(generation)
    if (entry === undefined || (entry.facts?.sid === facts.sid && entry.vpid === facts.sid)) return entry
  }
}

function addDuration({ header, process }: EventContext, into: FieldValues): void {
  if (header === undefined) return
  const start = process.startNs
  let low = header.bootNsLow - Number(start & 0xffff_ffffn)
  let high = header.bootNsHigh - Number(start >> 32n)
  if (low < 0) {
    low += HALF
    high -= 1
  }
  if (high >= 0) into.addWide(high, low)
}

const names = new Map<number, { name: string; text: InternedText }>()

/** A uid's name as a text, kept until the database says another. */
function addUserName(users: NameSource, uid: number, into: FieldValues): void {
  const name = users.nameOf(uid)
  if (name === '') return
  let known = names.get(uid)
  if (known?.name !== name) {
    known = { name, text: TEXTS.ofString(name) }
    names.set(uid, known)
  }
  into.addText(known.text)
}

export const PROCESS_FIELDS: Extractors = {
  'proc.name': own(NAME),
  'proc.exe': own(EXE),
  'proc.exepath': own(EXE_PATH),
  'proc.args': own((image) => image.args),
  'proc.cmdline': own(CMDLINE),
  'proc.exeline': own((image) => image.exeline),
  'proc.cwd': own((image) => image.cwd),
  'proc.cmdnargs': ({ process }, into) => into.addNumber(imageOf(process).argsCount),
  'proc.pid': ({ process }, into) => into.addNumber(process.pid),
  'proc.ppid': ({ process }, into) => {
    if (process.parentPid !== 0) into.addNumber(process.parentPid)
  },
  'thread.tid': ({ header }, into) => {
    if (header !== undefined) into.addNumber(header.tid)
  },
  'proc.vpid': ({ process: { vpid } }, into) => {
    if (vpid !== undefined) into.addNumber(vpid)
  },
  'proc.vpgid': fact('vpgid'),
  'proc.sid': fact('sid'),
  'proc.tty': fact('tty'),
  'proc.pname': parents(NAME),
  'proc.pexe': parents(EXE),
  'proc.pexepath': parents(EXE_PATH),
  'proc.pcmdline': parents(CMDLINE),
  'proc.aname': ancestorTexts(NAME),
  'proc.aexe': ancestorTexts(EXE),
  'proc.aexepath': ancestorTexts(EXE_PATH),
  'proc.acmdline': ancestorTexts(CMDLINE),
  'proc.apid': ancestors((entry, into) => into.addNumber(entry.pid)),
  'proc.duration': addDuration,
  'proc.sname': (context, into) => {
    const leader = sessionLeader(context)
    if (leader !== undefined) addText(into, imageOf(leader).name)
  },
  'proc.env': ({ process }, into, argument) => {
    const image = imageOf(process)
    addText(into, argument === undefined ? image.env : image.variable(argument.text))
  },
  'proc.is_vpgid_leader': ({ process: { facts, vpid } }, into) => {
    if (facts !== undefined && vpid !== undefined) into.addBoolean(facts.vpgid === vpid)
  },
  'proc.is_exe_from_memfd': hasFlag(ExecFlag.MEMFD),
  'proc.is_exe_upper_layer': hasFlag(ExecFlag.UPPER_LAYER),
  'proc.exe_ino': ({ process: { facts } }, into) => {
    if (facts !== undefined) addBigint(into, facts.inode)
  },
  'thread.cap_permitted': capabilities('capPermitted'),
  'thread.cap_effective': capabilities('capEffective'),
  'thread.cap_inheritable': capabilities('capInheritable'),
  'user.uid': ({ header }, into) => {
    if (header !== undefined) into.addNumber(header.uid)
  },
  'user.name': ({ header, sources }, into) => {
    if (header !== undefined) addUserName(sources.users, header.uid, into)
  },
  'user.loginuid': ({ process: { facts } }, into) => {
    if (facts !== undefined) into.addNumber(facts.loginuid === NO_LOGIN ? -1 : facts.loginuid)
  },
  'user.loginname': ({ process: { facts }, sources }, into) => {
    if (facts !== undefined && facts.loginuid !== NO_LOGIN) addUserName(sources.users, facts.loginuid, into)
  },
  'group.gid': ({ header }, into) => {
    if (header !== undefined) into.addNumber(header.gid)
  },
  'group.name': ({ header, sources }, into) => {
    const name = header === undefined ? '' : (sources.users.groupNameOf?.(header.gid) ?? '')
    if (name !== '') into.addText(TEXTS.ofString(name))
  },
  'proc.gid': ({ header }, into) => {
    if (header !== undefined) into.addNumber(header.gid)
  },
  'proc.phase': ({ connect, header, process }, into) => {
    // the network hooks cannot read a task's phase
    const isSetup = connect === undefined ? header?.phase === 1 : process.phase === 'setup'
    into.addText(isSetup ? SETUP : RUN)
  },
}

const SETUP = TEXTS.ofString('setup')
const RUN = TEXTS.ofString('run')
