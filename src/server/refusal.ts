/** The statuses that the control plane refuses with. */
export type RefusalStatus = 400 | 401 | 403 | 404 | 409 | 413 | 429 | 503;

/** A request that is not granted: what its answer says. */
export class Refusal extends Error {
  readonly status: RefusalStatus;
  readonly code: string;
  /** What in the request was wrong, where it is one thing. */
  readonly field: string | undefined;

  constructor(status: RefusalStatus, code: string, message: string, field?: string) {
    super(message);
    this.name = 'Refusal';
    this.status = status;
    this.code = code;
    this.field = field;
  }

  get body(): { error: { code: string; message: string; field?: string } } {
    const { code, message, field } = this;
    return { error: field === undefined ? { code, message } : { code, message, field } };
  }
}

/** An answer to a request that failed, whosever fault it was. */
export interface Failure {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export function refuse(status: RefusalStatus, code: string, message: string, field?: string): never {
  throw new Refusal(status, code, message, field);
}
