// A gateway: a separate application that uses the projects by messages. It depends only on the client of the
// service.
import 'reflect-metadata';
import { Body, Controller, Get, Inject, Module, Post, Query } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PROJECTS_CLIENT, ProjectsClientModule } from 'projects-service/client';
import type { ProjectInput, ProjectsClient } from 'projects-service/client';

@Controller('catalogue')
class CatalogueController {
  constructor(@Inject(PROJECTS_CLIENT) private readonly projects: ProjectsClient) {}

  @Get()
  async names(@Query('uses') technology?: string): Promise<(string | undefined)[]> {
    const filter = technology === undefined ? {} : { technology: [technology] };
    const { items } = await this.projects.list({ ...filter, sort: 'name', fields: 'name' });
    return items.map(({ name }) => name);
  }

  @Post()
  async add(@Body() values: ProjectInput): Promise<{ id: string; etag: string }> {
    const { project, etag } = await this.projects.create(values);
    return { id: project.id, etag };
  }
}

const messages = { transport: 'nats' as const, servers: process.env.NATS_URL! };

@Module({
  imports: [ProjectsClientModule.register({ messages })],
  controllers: [CatalogueController],
})
class GatewayModule {}

const app = await NestFactory.create(GatewayModule, { logger: ['error', 'warn'] });
app.enableShutdownHooks();
await app.listen(Number(process.env.PORT ?? 3100), '127.0.0.1');
console.log(`gateway: listens on ${await app.getUrl()}/catalogue`);
