import { UserError } from '../../src/domain/errors.ts';

/** The error that something ends with; it must be one that people are told. */
export async function failureOf(work: Promise<unknown>): Promise<UserError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}
