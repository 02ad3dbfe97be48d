import { createHash, type Hash } from 'node:crypto';
import { HttpCode, Inject, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { ApiResourceProblems, ApiSuccess } from '../http/contract/api-answers.js';
import { authorOf } from '../http/contract/author.js';
import { bodyStream } from '../http/streams/body-stream.js';
import { type Success, success } from '../http/answers/envelope.js';
import {
  ApiIdempotencyKey,
  KEY_PROBLEMS,
  withIdempotencyKey,
} from '../http/answers/idempotency.js';
import { Problem } from '../http/problems/problem.js';
import { ResourceController } from '../http/contract/resource-controller.js';
import { StreamedBody } from '../http/contract/route-metadata.js';
import { ImportProjectsQuery, ImportReportDto } from './dto/import-projects.dto.js';
import { PROJECTS_DATABASE } from './projects.tokens.js';
import { FileImport, ImportRefused } from './transfer/import-projects.js';
import { formatOf, MEDIA_TYPES, requireCsvFor } from './transfer/media-types.js';
import { Transfers } from './transfer/transfers.js';

@ApiTags('projects')
@ResourceController('projects', { database: PROJECTS_DATABASE })
export class ImportController {
  constructor(@Inject(Transfers) private readonly transfers: Transfers) {}

  @Post('import')
  @HttpCode(200)
  @StreamedBody()
  @ApiOperation({
    operationId: 'importProjects',
    summary: 'Import projects from a file',
    description: `
Reads NDJSON (a project on each line) or CSV of any length as it arrives, in UTF-8; \`Content-Encoding: gzip\` is unpacked. What the export writes can be imported as it is.

CSV is read as in RFC 4180. The first row names the columns, in any order, and \`technologies\` is a JSON list. The cells are separated by commas, semicolons or tabs: by those of the first row, or by \`delimiter\`. As Excel writes them, a byte order mark and a first row \`sep=;\` are accepted, and rows without any content and empty last columns are passed over. Lines end with CRLF or LF.

A row has \`name\`, \`description\` and \`technologies\`, and may have \`id\`, \`createdAt\`, \`updatedAt\` and \`version\`. A row with the \`id\` of a project replaces it, which adds one to its version, or leaves it alone if it stands there already with the same name, description and technologies; any other row creates a project, with the id, times and version that it gives. Where the history of that id goes up to this version or beyond, the project gets the next version instead, unless the row brings a deleted project back exactly as it was. Rows take effect in the order of the file.

All rows are written in one transaction, or none. Where a connection ends before the answer has come, either may be the case: with an \`Idempotency-Key\` the same file may be sent again, and is not written twice. A row that is refused is named by the line where it begins. In a CSV file an apostrophe is taken off that stands before \`=\`, \`+\`, \`-\`, \`@\`, a tab or a line break at the beginning of a name or a description, since the export puts one there, and an empty \`id\`, \`createdAt\`, \`updatedAt\` or \`version\` is one that is not given. A row is at most 1 MiB long.

A sender that is silent for 30 seconds is answered 408, and an import may take an hour.`.trim(),
  })
  @ApiIdempotencyKey()
  @ApiConsumes(...MEDIA_TYPES.ndjson, ...MEDIA_TYPES.csv)
  @ApiBody({ schema: { type: 'string', format: 'binary' }, required: true })
  @ApiSuccess(200, {
    description: 'What became of the rows.',
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
    ...KEY_PROBLEMS,
  )
  async import(
    @Query() { onError, dryRun, delimiter }: ImportProjectsQuery,
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
    const file = new FileImport(body, { format, delimiter, onError, dryRun, by });
    try {
      // A client that only connects, or sends slowly, holds no connection to the database.
      await this.transfers.beginning(() => file.begin());
      return await this.transfers.run('import', (db) =>
        withIdempotencyKey(db, { req, res, bodyDigest }, async (tx = db) => {
          return { body: success(await file.write(tx).catch(throwAsProblem)) };
        }),
      );
    } finally {
      file.close();
    }
  }
}

/** Of all of the body, whether or not it has been read. */
async function digestOf(body: AsyncIterableIterator<unknown>, hash: Hash): Promise<string> {
  while (!(await body.next()).done);
  return hash.digest('base64url');
}

function throwAsProblem(error: unknown): never {
  if (!(error instanceof ImportRefused)) throw error;
  const { errors, ...counts } = error.report;
  throw new Problem('import_refused', error.message, { errors, counts });
}
