import { checked, unchecked, type Check, type Look, type Place } from '../domain/checkup.ts';
import { UserError } from '../domain/errors.ts';
import { same, type Text } from '../domain/text.ts';

/** Nobody can look, because of what another check complains about. */
export interface Unknown {
  readonly unknown: Text;
}

/** Looks at something. That it cannot be looked at is a complaint like any other; only an interruption ends the whole. */
export async function attempt(place: Place, work: () => Promise<Look | Unknown>): Promise<Check> {
  return (await attemptWith(place, async () => ({ look: await work(), value: null }))).check;
}

/** The same for a look that finds out more than it shows; the value is null if it failed. */
export async function attemptWith<T>(
  place: Place,
  work: () => Promise<{ readonly look: Look | Unknown; readonly value: T }>,
): Promise<{ readonly check: Check; readonly value: T | null }> {
  try {
    const { look, value } = await work();
    return { check: 'unknown' in look ? unchecked(place, look.unknown) : checked(place, look), value };
  } catch (error) {
    return { check: checked(place, failed(error)), value: null };
  }
}

function failed(error: unknown): Look {
  const why: Text = {
    en: 'whether this is well cannot be told until it can be looked at',
    zh: '在能够检查之前,无法判断此项是否正常',
  };
  if (!(error instanceof UserError)) {
    const words = error instanceof Error ? error.message : String(error);
    const seen = { en: `this check failed: ${words}`, zh: `此项检查失败:${words}` };
    const mend = same('xingrin doctor --verbose');
    return { fact: same('?'), complaints: [{ code: 'CHECK_FAILED', grave: true, seen, why, mend }] };
  }
  if (error.code === 'INTERRUPTED') throw error;
  const { code, text, details } = error;
  const mend = details.hint ?? same('xingrin status');
  return { fact: same(code), complaints: [{ code: `CHECK_${code}`, grave: true, seen: text, why, mend }] };
}
