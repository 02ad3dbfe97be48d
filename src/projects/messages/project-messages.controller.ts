import { Controller, Inject, UseFilters, UseGuards } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { Reads } from '../../auth/scope.decorator.js';
import type { Operation, Reply } from './operation.js';
import { callerOf } from '../../http/answers/caller.js';
import { type MessageContext, messageRequestId } from '../../http/messages/message-request.js';
import { ProblemFilter } from '../../http/contract/problem.filter.js';
import { MessageAuthGuard } from '../../auth/message-auth.guard.js';
import type { ProjectOperations } from './project-operations.js';
import { PROJECT_OPERATIONS } from './project-operations.token.js';

/**
 * The message patterns: every operation except files and streams. A message has those of `id`, `query`, `body` and
 * `meta` that its operation accepts. The answer is a Reply; a failure is the same problem as over HTTP.
 */
@Controller()
@UseGuards(MessageAuthGuard)
@UseFilters(ProblemFilter)
export class ProjectMessages {
  constructor(@Inject(PROJECT_OPERATIONS) private readonly operations: ProjectOperations) {}

  @MessagePattern('projects.list')
  @Reads()
  list(@Payload() message: unknown, @Ctx() context: MessageContext): Promise<Reply> {
    return this.answer('list', message, context);
  }

  @MessagePattern('projects.get')
  @Reads()
  get(@Payload() message: unknown, @Ctx() context: MessageContext): Promise<Reply> {
    return this.answer('get', message, context);
  }

  @MessagePattern('projects.create')
  create(@Payload() message: unknown, @Ctx() context: MessageContext): Promise<Reply> {
    return this.answer('create', message, context);
  }

  @MessagePattern('projects.put')
  put(@Payload() message: unknown, @Ctx() context: MessageContext): Promise<Reply> {
    return this.answer('put', message, context);
  }

  @MessagePattern('projects.patch')
  patch(@Payload() message: unknown, @Ctx() context: MessageContext): Promise<Reply> {
    return this.answer('patch', message, context);
  }

  @MessagePattern('projects.delete')
  delete(@Payload() message: unknown, @Ctx() context: MessageContext): Promise<Reply> {
    return this.answer('delete', message, context);
  }

  @MessagePattern('projects.batch')
  batch(@Payload() message: unknown, @Ctx() context: MessageContext): Promise<Reply> {
    return this.answer('batch', message, context);
  }

  @MessagePattern('projects.history')
  @Reads()
  history(@Payload() message: unknown, @Ctx() context: MessageContext): Promise<Reply> {
    return this.answer('history', message, context);
  }

  @MessagePattern('projects.changes')
  @Reads()
  changes(@Payload() message: unknown, @Ctx() context: MessageContext): Promise<Reply> {
    return this.answer('changes', message, context);
  }

  @MessagePattern('projects.technologies')
  @Reads()
  technologies(@Payload() message: unknown, @Ctx() context: MessageContext): Promise<Reply> {
    return this.answer('technologies', message, context);
  }

  private async answer(
    operation: Operation,
    message: unknown,
    context: MessageContext,
  ): Promise<Reply> {
    const requestId = messageRequestId(context, message);
    return await this.operations.run(operation, message, { actor: callerOf(context), requestId });
  }
}
