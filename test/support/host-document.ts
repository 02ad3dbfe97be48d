import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { DatabaseModule, ProjectsModule, TechnologiesModule } from '../../src/index.js';

@Module({
  imports: [
    DatabaseModule.forRoot({ url: 'postgres://localhost/none' }),
    ProjectsModule,
    TechnologiesModule,
  ],
})
class HostModule {}

/** The document of a host application with its own prefix, which connects to nothing. */
export async function hostDocument(): Promise<OpenAPIObject> {
  const app = await NestFactory.create<NestExpressApplication>(HostModule, { logger: false });
  app.setGlobalPrefix('company/v3');
  const config = new DocumentBuilder().setOpenAPIVersion('3.0.3').setTitle('Host').build();
  return SwaggerModule.createDocument(app, config);
}
