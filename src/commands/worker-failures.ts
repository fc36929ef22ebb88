import { UserError } from '../domain/errors.ts';
import { ReportedFailure, type Report, type Session } from './session.ts';

/** The workers that something failed on, while the others went on. */
export class FleetFailures {
  readonly #session: Session;
  readonly #total: number;
  readonly #failed = new Map<string, UserError>();

  /** @param total how many workers it is about */
  constructor(session: Session, total: number) {
    this.#session = session;
    this.#total = total;
  }

  /** Tells at once, and remembers. */
  add(worker: string, error: UserError): void {
    if (this.#failed.has(worker)) return;
    this.#failed.set(worker, error);
    const { en, zh } = error.text;
    this.#session.warn({
      en: `${worker}: ${en}; next: xingrin worker update ${worker}`,
      zh: `${worker}:${zh};之后执行:xingrin worker update ${worker}`,
    });
  }

  /**
   * The report, where no worker failed.
   *
   * @param mainIsRight something besides these workers went well
   * @throws PARTIAL (exit 3) naming each; the first reason's own code where none went well
   */
  check(report: Report, mainIsRight = false): Report {
    const [first] = this.#failed.values();
    if (first === undefined) return report;
    const { terminal } = this.#session;
    const names = [...this.#failed.keys()];
    const none = !mainIsRight && names.length === this.#total;
    const text = {
      en: `${names.length} of ${this.#total} workers could not be brought to the version: ${names.join(', ')}`,
      zh: `${this.#total} 个 worker 中有 ${names.length} 个未能更新:${names.join('、')}`,
    };
    const evidence = [...this.#failed].map(([name, error]) => `${name}: ${terminal.text(error.text)}`).join('\n');
    const next = `xingrin worker update ${names.join(' ')}`;
    if (report.text !== undefined && terminal.progress !== 'quiet') terminal.say(report.text);
    const error = new UserError(none ? first.code : 'PARTIAL', text, { evidence, hint: { en: next, zh: next } });
    throw new ReportedFailure(error, report);
  }
}
