import { ApiProperty, ApiSchema } from '@nestjs/swagger';

@ApiSchema({
  name: 'Health',
  description: 'The check has passed. If it fails, the answer is a problem.',
})
export class HealthDto {
  @ApiProperty({ enum: ['up'] })
  status!: 'up';
}
