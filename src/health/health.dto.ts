import { ApiProperty, ApiSchema } from '@nestjs/swagger';

@ApiSchema({ name: 'Health', description: 'That all is well; else the answer is a problem.' })
export class HealthDto {
  @ApiProperty({ enum: ['up'] })
  status!: 'up';
}
