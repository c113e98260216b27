/** Fields of the container in which it happened. */
import type { InternedText } from '../../match/conditions/values.js'
import type { ContainerTexts } from './container-texts.js'
import { addBigint, addText, type Extractor, type Extractors } from './extractor.js'

const MS_IN_NS = 1_000_000n

/** The same fact under the names that kubelet and CRI-O, the CRI plugin of containerd, and nerdctl give it. */
const POD_NAMESPACE = ['io.kubernetes.pod.namespace', 'io.kubernetes.cri.sandbox-namespace']
const POD_NAME = ['io.kubernetes.pod.name', 'io.kubernetes.cri.sandbox-name']
const POD_UID = ['io.kubernetes.pod.uid', 'io.kubernetes.cri.sandbox-uid']

function text(read: (container: ContainerTexts) => InternedText | undefined): Extractor {
  return ({ container }, into) => {
    if (container !== undefined) addText(into, read(container))
  }
}

export const CONTAINER_FIELDS: Extractors = {
  'container.id': text((container) => container.id),
  'container.full_id': text((container) => container.fullId),
  'container.name': text((container) => container.name),
  'container.image': text((container) => container.image),
  'container.image.id': text((container) => container.imageId),
  'container.image.repository': text((container) => container.repository),
  'container.image.tag': text((container) => container.tag),
  'container.image.digest': text((container) => container.digest),
  'container.type': text((container) => container.type),
  'container.state': text((container) => container.state),
  'container.mounts': text((container) => container.mountsText),
  'container.mount.dest': ({ container }, into, argument) => {
    if (container !== undefined && argument !== undefined) addText(into, container.mountDestination(argument.text))
  },
  'container.label': ({ container }, into, argument) => {
    if (container !== undefined && argument !== undefined) addText(into, container.label(argument.text))
  },
  'container.privileged': ({ container }, into) => {
    if (container?.privileged !== undefined) into.addBoolean(container.privileged)
  },
  'container.start_ts': ({ container }, into) => {
    if (container?.createdMs !== undefined) addBigint(into, BigInt(Math.trunc(container.createdMs)) * MS_IN_NS)
  },
  'container.duration': ({ container, header, sources }, into) => {
    if (container?.createdMs === undefined || header === undefined) return
    const since = sources.utcNs(header.bootNs) - BigInt(Math.trunc(container.createdMs)) * MS_IN_NS
    if (since >= 0n) addBigint(into, since)
  },
  'k8s.ns.name': text((container) => container.anyLabel(POD_NAMESPACE)),
  'k8s.pod.name': text((container) => container.anyLabel(POD_NAME)),
  'k8s.pod.id': text((container) => container.anyLabel(POD_UID)),
  'k8s.pod.uid': text((container) => container.anyLabel(POD_UID)),
}
