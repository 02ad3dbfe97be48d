import { createHash, type Hash } from 'node:crypto';
import { HttpCode, Inject, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { EntityRow } from '../../db/entity/entity.js';
import { type Success, success } from '../../http/answers/envelope.js';
import {
  ApiIdempotencyKey,
  KEY_PROBLEMS,
  withIdempotencyKey,
} from '../../http/answers/idempotency.js';
import { ApiResourceProblems, ApiSuccess } from '../../http/contract/api-answers.js';
import { authorOf } from '../../http/contract/author.js';
import { ResourceController } from '../../http/contract/resource-controller.js';
import { StreamedBody } from '../../http/contract/route-metadata.js';
import { Problem, type ProblemCode } from '../../http/problems/problem.js';
import { bodyStream } from '../../http/streams/body-stream.js';
import type { EntityResource } from '../entity-resource.js';
import { entityFile } from './entity-file.js';
import { FileImport, ImportRefused } from './file-import.js';
import { ImportQuery, ImportReportDto } from './import.dto.js';
import { formatOf, MEDIA_TYPES, requireCsvFor } from './media-types.js';
import { importText } from './texts.js';
import { Transfers } from './transfers.js';

/** Creates a controller with `POST /<path>/import` for one entity. */
export function ImportController<Row extends EntityRow, Values extends object>(
  resource: EntityResource<Row, Values>,
) {
  const { entity, path, dto, tokens } = resource;
  const file = entityFile(entity, dto);
  const Plural = path[0]!.toUpperCase() + path.slice(1);
  const unique: ProblemCode[] = entity.hasUniqueValues
    ? ['already_exists', 'still_referenced']
    : [];

  @ApiTags(path)
  @ResourceController(path, { database: tokens.database })
  class Controller {
    constructor(@Inject(Transfers) readonly transfers: Transfers) {}

    @Post('import')
    @HttpCode(200)
    @StreamedBody()
    @ApiOperation({
      operationId: `import${Plural}`,
      summary: `Import ${path} from a file`,
      description: importText(resource, file),
    })
    @ApiIdempotencyKey()
    @ApiConsumes(...MEDIA_TYPES.ndjson, ...MEDIA_TYPES.csv)
    @ApiBody({ schema: { type: 'string', format: 'binary' }, required: true })
    @ApiSuccess(200, {
      description: 'The result of the import.',
      data: ImportReportDto,
      replayed: true,
    })
    @ApiResourceProblems(
      'import_refused',
      'invalid_value',
      'bad_request',
      'request_timeout',
      'conflict',
      'unsupported_media_type',
      ...unique,
      ...KEY_PROBLEMS,
    )
    async import(
      @Query() { onError, dryRun, delimiter }: ImportQuery,
      @Req() req: Request,
      @Res({ passthrough: true }) res: Response,
    ): Promise<Success<ImportReportDto>> {
      const format = formatOf(req.headers['content-type']!);
      requireCsvFor(format, { delimiter });
      const hash = createHash('sha256');
      const onBytes = (bytes: Uint8Array) => hash.update(bytes);
      const { limits, signal } = this.transfers;
      const body = bodyStream(req, { ...limits, signal, onBytes });
      const bodyDigest = () => digestOf(body, hash);
      const by = authorOf(req, res);
      const rows = new FileImport(file, body, { format, delimiter, onError, dryRun, by });
      try {
        // A client that sends nothing yet, or sends slowly, must not hold a database connection.
        await this.transfers.beginning(() => rows.begin());
        return await this.transfers.run('import', (db) =>
          withIdempotencyKey(db, { req, res, bodyDigest }, async (tx = db) => {
            return { body: success(await rows.write(tx).catch(throwAsProblem)) };
          }),
        );
      } finally {
        rows.close();
      }
    }
  }
  return Controller;
}

/** Returns the digest of the whole body; reads the part that has not been read yet. */
async function digestOf(body: AsyncIterableIterator<unknown>, hash: Hash): Promise<string> {
  while (!(await body.next()).done);
  return hash.digest('base64url');
}

function throwAsProblem(error: unknown): never {
  if (!(error instanceof ImportRefused)) throw error;
  const { errors, ...counts } = error.report;
  throw new Problem('import_refused', error.message, { errors, counts });
}
