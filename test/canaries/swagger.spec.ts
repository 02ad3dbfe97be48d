import 'reflect-metadata';
import { ApiConsumes, ApiProduces, ApiProperty, ApiQuery, ApiResponse } from '@nestjs/swagger';
import { documentedProperty, SWAGGER } from '../../src/http/internals/swagger.js';

// If this fails, @nestjs/swagger stores its metadata elsewhere and the product is not wrong.

class Dto {
  @ApiProperty({ example: 'C' })
  name!: string;
}

class Controller {
  @ApiConsumes('text/csv')
  @ApiProduces('text/csv')
  @ApiQuery({ name: 'limit' })
  @ApiResponse({ status: 200, description: 'The file.' })
  handler(): void {}
}

it('@nestjs/swagger stores the documentation of handlers and properties under the known keys', () => {
  // eslint-disable-next-line @typescript-eslint/unbound-method
  const of = (key: string): unknown => Reflect.getMetadata(key, Controller.prototype.handler);
  expect(of(SWAGGER.consumes)).toEqual(['text/csv']);
  expect(of(SWAGGER.produces)).toEqual(['text/csv']);
  expect(of(SWAGGER.parameters)).toMatchObject([{ name: 'limit', in: 'query' }]);
  expect(of(SWAGGER.responses)).toMatchObject({ 200: { description: 'The file.' } });
  expect(Reflect.getMetadata(SWAGGER.properties, Dto.prototype)).toEqual([':name']);
  expect(documentedProperty(Dto, 'name')).toMatchObject({ example: 'C' });
});
