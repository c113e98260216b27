/** What conditions and outputs read of a container, as texts that are made once for each of its descriptions. */
import type { Identity, Mount } from '../../container/identity.js'
import type { InternedText } from '../../match/conditions/values.js'
import type { ContainerRef } from '../../record/model.js'
import { TEXTS } from '../process/texts.js'

/** Of an id, as Falco and Docker show it. */
const SHORT_ID_CHARS = 12

/** `registry:5000/team/app:1.2@sha256:…` in its parts; a part that is not there is empty. */
export function imageParts(image: string): { repository: string; tag: string; digest: string } {
  const at = image.indexOf('@')
  const digest = at === -1 ? '' : image.slice(at + 1)
  const name = at === -1 ? image : image.slice(0, at)
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1)
  return colon === -1
    ? { repository: name, tag: '', digest }
    : { repository: name.slice(0, colon), tag: name.slice(colon + 1), digest }
}

/** As Docker describes it: `source:destination:mode:rw:propagation`. */
function mountText({ source, destination, mode, isWritable, propagation }: Mount): string {
  return `${source}:${destination}:${mode}:${String(isWritable)}:${propagation}`
}

export class ContainerTexts {
  readonly ref: ContainerRef
  readonly privileged: boolean | undefined
  readonly mounts: readonly Mount[]
  /** UTC ms. */
  readonly createdMs: number | undefined
  readonly #texts = new Map<string, InternedText | undefined>()
  readonly #labels = new Map<string, InternedText | undefined>()

  constructor({ ref, privileged, mounts, createdMs }: Identity) {
    this.ref = ref
    this.privileged = privileged
    this.mounts = mounts
    this.createdMs = createdMs
  }

  get isHost(): boolean {
    return this.ref.state === 'host'
  }

  get id(): InternedText | undefined {
    return this.#text('id', () => (this.isHost ? 'host' : this.ref.id.slice(0, SHORT_ID_CHARS)))
  }

  get fullId(): InternedText | undefined {
    return this.#text('fullId', () => (this.isHost ? 'host' : this.ref.id))
  }

  get name(): InternedText | undefined {
    return this.#text('name', () => (this.isHost ? 'host' : this.ref.name))
  }

  get type(): InternedText | undefined {
    return this.#text('type', () => (this.isHost ? 'host' : this.ref.runtime))
  }

  get state(): InternedText | undefined {
    return this.#text('state', () => this.ref.state)
  }

  get image(): InternedText | undefined {
    return this.#text('image', () => this.ref.image)
  }

  get imageId(): InternedText | undefined {
    return this.#text('imageId', () => this.ref.imageId)
  }

  get repository(): InternedText | undefined {
    return this.#text('repository', () => imageParts(this.ref.image).repository)
  }

  get tag(): InternedText | undefined {
    return this.#text('tag', () => imageParts(this.ref.image).tag)
  }

  get digest(): InternedText | undefined {
    return this.#text('digest', () => imageParts(this.ref.image).digest)
  }

  get mountsText(): InternedText | undefined {
    return this.#text('mounts', () => this.mounts.map(mountText).join(','))
  }

  label(key: string): InternedText | undefined {
    if (!this.#labels.has(key)) {
      const value = this.ref.labels[key]
      this.#labels.set(key, value === undefined ? undefined : TEXTS.ofString(value))
    }
    return this.#labels.get(key)
  }

  /** The first of these labels that is set: runtimes name the same fact differently. */
  anyLabel(keys: readonly string[]): InternedText | undefined {
    for (const key of keys) {
      const text = this.label(key)
      if (text !== undefined) return text
    }
    return undefined
  }

  /** Destination of the first mount that the argument means: its number, or a glob over the sources. */
  mountDestination(argument: string): InternedText | undefined {
    return this.#text(`mount ${argument}`, () => {
      if (/^\d{1,5}$/.test(argument)) return this.mounts[Number(argument)]?.destination ?? ''
      const pattern = globOf(argument)
      return this.mounts.find(({ source }) => pattern.test(source))?.destination ?? ''
    })
  }

  /** Empty is absent. */
  #text(key: string, make: () => string): InternedText | undefined {
    if (this.#texts.has(key)) return this.#texts.get(key)
    const value = make()
    const text = value === '' ? undefined : TEXTS.ofString(value)
    this.#texts.set(key, text)
    return text
  }
}

/** `*` any run of characters, also slashes; `?` one. */
function globOf(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${escaped.replace(/\*+/g, '.*').replace(/\?/g, '.')}$`, 's')
}

const known = new WeakMap<ContainerRef, ContainerTexts>()

/** The same object while the container's description stays the same. */
export function containerTexts(identity: Identity): ContainerTexts {
  const { ref } = identity
  const texts = known.get(ref)
  // HOST, PENDING and UNKNOWN are shared by all cgroups in that state: nothing in them tells one from the other
  if (texts !== undefined && texts.privileged === identity.privileged && texts.mounts === identity.mounts) return texts
  const made = new ContainerTexts(identity)
  known.set(ref, made)
  return made
}
