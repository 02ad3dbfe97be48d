import type { FeedChange } from '../db/entity/change-feed.js';
import type { ChangeDto } from '../changes/dto/change.dto.js';
import { toChangeDto } from '../changes/feed.js';

/** A published event: CloudEvents 1.0 in binary mode, with attributes as headers `ce-…`. */
export interface CloudEvent {
  /** The cursor of the change in the feed. */
  id: string;
  subject: string;
  headers: Record<string, string>;
  data: ChangeDto;
}

export interface EventOptions {
  /** `ce-source`, a URI reference. */
  source: string;
  /** The path of the entity, the first word of subjects. */
  path: string;
}

const PRODUCER = 'projects-service';

/** Creates the event of a change: subject `<path>.changes.<id>.<action>`, data in the format of the change feed. */
export function toCloudEvent(change: FeedChange, { source, path }: EventOptions): CloudEvent {
  const data = toChangeDto(change);
  const { entity, entityId, action, at } = change;
  return {
    id: data.cursor,
    subject: `${path}.changes.${entityId}.${action}`,
    headers: {
      'ce-specversion': '1.0',
      'ce-id': data.cursor,
      'ce-source': source,
      'ce-type': `${PRODUCER}.${entity}.${action}`,
      'ce-subject': entityId,
      'ce-time': at,
      'ce-partitionkey': entityId,
      'content-type': 'application/json',
    },
    data,
  };
}
