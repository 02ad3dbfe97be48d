import { Module } from '@nestjs/common';
import { MessageServer } from './message-server.js';

/** What connects the service to a mesh: `attachMessages` gives it a transport. */
@Module({ providers: [MessageServer] })
export class MeshModule {}
