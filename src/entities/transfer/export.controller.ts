import { Get, Inject, Query, Req, Res, type Type } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { EntityRow } from '../../db/entity/entity.js';
import type { EntityFactory } from '../../db/entity/entity.factory.js';
import { EXPORT_FORMATS, type ExportFormat } from '../../db/entity/row-export.js';
import { preferredType } from '../../http/answers/accept.js';
import { ApiFile, ApiResourceProblems } from '../../http/contract/api-answers.js';
import { QueryClass } from '../../http/contract/endpoint.js';
import { ResourceController } from '../../http/contract/resource-controller.js';
import { Problem } from '../../http/problems/problem.js';
import { writePart } from '../../http/streams/answer-stream.js';
import type { EntityResource } from '../entity-resource.js';
import { listQueryDtoOf } from '../entity.dto.js';
import { entityFile } from './entity-file.js';
import { type ExportQuery, exportQueryOf } from './export.query.js';
import { formatOf, MEDIA_TYPES, requireCsvFor } from './media-types.js';
import { exportText, fileTypes } from './texts.js';
import { Transfers } from './transfers.js';

/** Creates a controller with `GET /<path>/export` for one entity. `query` has the filters; default: those of its list. */
export function ExportController<Row extends EntityRow, Values extends object>(
  resource: EntityResource<Row, Values>,
  query: Type<ExportQuery> = exportQueryOf(listQueryDtoOf(resource.entity), ['limit', 'after']),
) {
  const { entity, path, dto, tokens } = resource;
  const file = entityFile(entity, dto);
  const Plural = path[0]!.toUpperCase() + path.slice(1);

  @ApiTags(path)
  @ResourceController(path)
  class Controller {
    constructor(
      @Inject(Transfers) readonly transfers: Transfers,
      @Inject(tokens.rows) readonly rows: EntityFactory<Row, Values>,
    ) {}

    @Get('export')
    @ApiOperation({
      operationId: `export${Plural}`,
      summary: `Export ${path} to a file`,
      description: exportText(resource, file),
    })
    @ApiFile({ description: 'The file.', types: fileTypes(resource, file) })
    @ApiResourceProblems()
    @QueryClass(query)
    async export(
      @Query() { format: asked, bom, sort, ...filters }: ExportQuery,
      @Req() req: Request,
      @Res() res: Response,
    ): Promise<void> {
      const { format, type } = fileOf(req, asked);
      requireCsvFor(format, { bom });
      const describe = () => describeFile(res, { name: path, format, type });
      if (req.method === 'HEAD') return void describe().end();
      const { silenceMs, durationMs } = this.transfers.limits;
      const { signal } = this.transfers;
      const limits = { silenceMs, endsAt: performance.now() + durationMs, signal };
      await this.transfers.run('export', (db) =>
        this.rows.on(db).exportTo(
          { sort, filters },
          {
            format,
            bom,
            write: (part) => writePart(res.headersSent ? res : describe(), part, limits),
          },
        ),
      );
      res.end();
    }
  }
  return Controller;
}

/** Chooses the format and the media type. Throws `not_acceptable` if `Accept` does not allow the requested format. */
function fileOf(req: Request, asked: ExportFormat | undefined) {
  const formats = asked ? [asked] : EXPORT_FORMATS;
  const types = formats.flatMap((format): readonly string[] => MEDIA_TYPES[format]);
  // A range such as */* selects the usual media type of a format. Its other names must be written out.
  const usual = formats.map((format) => MEDIA_TYPES[format][0]);
  const written = req.headers.accept?.toLowerCase() ?? '';
  const others = types.filter((name) => !usual.includes(name as never) && written.includes(name));
  const type = preferredType(req, [...usual, ...others]);
  if (!type)
    throw new Problem('not_acceptable', `The media type of this format is ${types.join(' or ')}.`);
  return { format: formatOf(type), type };
}

function describeFile(
  res: Response,
  { name, format, type }: { name: string; format: ExportFormat; type: string },
): Response {
  const moment = new Date().toISOString().replace(/:|\.\d+/g, '');
  return res
    .status(200)
    .set('Content-Type', format === 'csv' ? `${type}; charset=utf-8; header=present` : type)
    .set('Content-Disposition', `attachment; filename="${name}-${moment}.${format}"`)
    .vary('Accept');
}
