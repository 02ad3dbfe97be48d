import { Get, Inject, Query, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import {
  EXPORT_FORMATS,
  type ExportFormat,
  exportProjects,
} from '../db/factories/projects/project-export.js';
import { writePart } from '../http/streams/answer-stream.js';
import { preferredType } from '../http/contract/accept.js';
import { ApiFile, ApiResourceProblems } from '../http/contract/api-answers.js';
import { Problem } from '../http/problems/problem.js';
import { ResourceController } from '../http/contract/resource-controller.js';
import { ExportProjectsQuery } from './dto/export-projects.query.js';
import { orderOf } from './project-list.js';
import { formatOf, MEDIA_TYPES, requireCsvFor } from './transfer/media-types.js';
import { Transfers } from './transfer/transfers.js';

const PROJECT =
  '"id":"0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10","name":"PostgreSQL","description":"","technologies":["C"],"createdAt":"2026-01-31T12:00:00.000Z","updatedAt":"2026-01-31T12:00:00.000Z","version":1';

const NDJSON_FILE = { description: 'A project on each line.', example: `{${PROJECT}}\n` };

@ApiTags('projects')
@ResourceController('projects')
export class ExportController {
  constructor(@Inject(Transfers) private readonly transfers: Transfers) {}

  @Get('export')
  @ApiOperation({
    operationId: 'exportProjects',
    summary: 'Export projects to a file',
    description: `
All projects that every filter given lets through, as they stand at one moment: NDJSON, or CSV (RFC 4180, with \`technologies\` as a JSON list). Imported into an empty catalogue it makes the same projects, with ids, times and versions.

In CSV, what a spreadsheet would run as a formula (a name or a description that begins with \`=\`, \`+\`, \`-\`, \`@\`, a tab or a line break, behind apostrophes or not) has an apostrophe put before it, which the import takes off.

A file that is not whole ends with a broken connection. A reader that takes nothing for 30 seconds is cut off, and an export may take an hour.`.trim(),
  })
  @ApiFile({
    description: 'The file.',
    types: {
      ...Object.fromEntries(MEDIA_TYPES.ndjson.map((type) => [type, NDJSON_FILE])),
      [MEDIA_TYPES.csv[0]]: {
        description: 'The first row names the columns.',
        example: 'id,name,description,technologies,createdAt,updatedAt,version\r\n',
      },
    },
  })
  @ApiResourceProblems()
  async export(
    @Query() { format: asked, bom, sort, ...filters }: ExportProjectsQuery,
    @Req() req: Request,
    @Res() res: Response,
  ): Promise<void> {
    const { format, type } = fileOf(req, asked);
    requireCsvFor(format, { bom });
    const describe = () => describeFile(res, format, type);
    if (req.method === 'HEAD') return void describe().end();
    const { silenceMs, durationMs } = this.transfers.limits;
    const { signal } = this.transfers;
    const limits = { silenceMs, endsAt: performance.now() + durationMs, signal };
    await this.transfers.run('export', (db) =>
      exportProjects(db, {
        query: { ...filters, ...orderOf(sort) },
        format,
        bom,
        write: (part) => writePart(res.headersSent ? res : describe(), part, limits),
      }),
    );
    res.end();
  }
}

/** Throws `not_acceptable` if the client does not accept what it asks for. */
function fileOf(req: Request, asked: ExportFormat | undefined) {
  const formats = asked ? [asked] : EXPORT_FORMATS;
  const types = formats.flatMap((format): readonly string[] => MEDIA_TYPES[format]);
  // A range such as */* means the usual name of a format; another name is answered to those who write it.
  const usual = formats.map((format) => MEDIA_TYPES[format][0]);
  const written = req.headers.accept?.toLowerCase() ?? '';
  const others = types.filter((name) => !usual.includes(name as never) && written.includes(name));
  const type = preferredType(req, [...usual, ...others]);
  if (!type) throw new Problem('not_acceptable', `This format is ${types.join(' or ')}.`);
  return { format: formatOf(type), type };
}

function describeFile(res: Response, format: ExportFormat, type: string): Response {
  const moment = new Date().toISOString().replace(/:|\.\d+/g, '');
  return res
    .status(200)
    .set('Content-Type', format === 'csv' ? `${type}; charset=utf-8; header=present` : type)
    .set('Content-Disposition', `attachment; filename="projects-${moment}.${format}"`)
    .vary('Accept');
}
