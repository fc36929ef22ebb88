/** A message of the engine while it pulls: https://docs.docker.com/reference/api/engine/ (ImageCreate). */
export interface PullMessage {
  readonly status?: string | undefined;
  /** The layer that is meant. */
  readonly id?: string | undefined;
  readonly progressDetail?: { readonly current?: number | undefined; readonly total?: number | undefined } | undefined;
}

/** How far a pull is. */
export interface PullAmount {
  /** Bytes that have arrived. */
  readonly done: number;
  /** Bytes there are in all; absent as long as the engine has not begun with every layer. */
  readonly total?: number;
}

/** Counts the layers of one image that `docker pull` without a terminal tells, line by line. */
export function layerMeter(): (line: string) => { readonly done: number; readonly total: number } {
  const layers = new Map<string, boolean>();
  return (line) => {
    const [, layer, state] = /^([0-9a-f]{6,}): (.+)$/.exec(line) ?? [];
    if (layer !== undefined && state !== undefined) layers.set(layer, /complete|exists/i.test(state));
    return { done: [...layers.values()].filter(Boolean).length, total: layers.size };
  };
}

/** Adds up what the layers of one image tell; those that are here already do not travel. */
export function pullMeter(): (message: PullMessage) => PullAmount {
  const layers = new Map<string, { readonly done: number; readonly total: number | null }>();
  return ({ status = '', id, progressDetail }) => {
    const layer = id === undefined ? undefined : layers.get(id);
    const { current = 0, total } = progressDetail ?? {};
    if (id !== undefined) {
      if (status === 'Pulling fs layer') layers.set(id, { done: 0, total: null });
      else if (status === 'Downloading' && total !== undefined)
        layers.set(id, { done: Math.min(current, total), total });
      else if (layer !== undefined && /complete|^Extracting|^Verifying/.test(status))
        layers.set(id, { done: layer.total ?? 0, total: layer.total ?? 0 });
    }
    const all = [...layers.values()];
    const done = all.reduce((sum, each) => sum + each.done, 0);
    const whole = all.reduce<number | null>(
      (sum, each) => (sum === null || each.total === null ? null : sum + each.total),
      all.length === 0 ? null : 0,
    );
    return whole === null ? { done } : { done, total: whole };
  };
}
