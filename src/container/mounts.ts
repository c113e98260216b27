/** Mounts and privileges in the forms in which runtimes write them down. What is not understood is left out. */
import type { Mount } from './identity.js'
import { isObject, type JsonObject, nameAt, objectAt, stringAt } from './json-value.js'

/** Beyond what people configure; a longer list is cut. */
const MOUNTS_LIMIT_COUNT = 256
const MS_RDONLY = 1

/** Docker's `Mounts` (inspect) or `MountPoints` (state file). */
export function dockerMounts(config: JsonObject): readonly Mount[] {
  const listed = Array.isArray(config.Mounts) ? config.Mounts : Object.values(objectAt(config, 'MountPoints'))
  return objects(listed).map((mount) => ({
    source: nameAt(mount, 'Source'),
    destination: nameAt(mount, 'Destination'),
    mode: stringAt(mount, 'Mode') || stringAt(mount, 'Relabel'),
    isWritable: mount.RW === true,
    propagation: stringAt(mount, 'Propagation'),
  }))
}

/** Bind mounts of runc's own configuration (state.json). */
export function runcMounts(config: JsonObject): readonly Mount[] {
  return objects(config.mounts).flatMap((mount) =>
    stringAt(mount, 'device') !== 'bind'
      ? []
      : [
          {
            source: nameAt(mount, 'source'),
            destination: nameAt(mount, 'destination'),
            mode: '',
            isWritable: (Number(mount.flags) & MS_RDONLY) === 0,
            propagation: '',
          },
        ],
  )
}

/** Bind mounts of an OCI bundle's config.json. */
export function bundleMounts(spec: JsonObject): readonly Mount[] {
  return objects(spec.mounts).flatMap((mount) => {
    const options: readonly unknown[] = Array.isArray(mount.options) ? mount.options : []
    if (stringAt(mount, 'type') !== 'bind' && !options.includes('bind') && !options.includes('rbind')) return []
    return [
      {
        source: nameAt(mount, 'source'),
        destination: nameAt(mount, 'destination'),
        mode: '',
        isWritable: !options.includes('ro'),
        propagation: '',
      },
    ]
  })
}

/** What --privileged comes to: the capabilities that undo the others, and none of the paths hidden. */
export function isPrivileged(bounding: unknown, maskedPaths: unknown): boolean {
  const capabilities: readonly unknown[] = Array.isArray(bounding) ? bounding : []
  const isMasked = Array.isArray(maskedPaths) && maskedPaths.length > 0
  return !isMasked && ['CAP_SYS_ADMIN', 'CAP_SYS_MODULE', 'CAP_SYS_RAWIO'].every((name) => capabilities.includes(name))
}

function objects(list: unknown): JsonObject[] {
  return (Array.isArray(list) ? list : []).filter(isObject).slice(0, MOUNTS_LIMIT_COUNT)
}
