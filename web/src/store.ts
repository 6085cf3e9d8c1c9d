/** What the page is about, and who wants to know of changes. */

export interface State {
    /** The text of the scenario. */
    text: string;
    /** Its path in outcomes. */
    file: string;
    /** The kernel instead of the scenario's own. */
    kernel: string | null;
    /** The seed instead of the scenario's own. */
    seed: number | null;
}

export type Listener = (state: Readonly<State>, changed: ReadonlySet<keyof State>) => void;

export class Store {
    private readonly listeners: Listener[] = [];

    constructor(private current: State) {}

    get state(): Readonly<State> {
        return this.current;
    }

    subscribe(listener: Listener): void {
        this.listeners.push(listener);
    }

    set(change: Partial<State>): void {
        const before = this.current;
        this.current = { ...before, ...change };
        const keys = Object.keys(change) as (keyof State)[];
        const changed = new Set(keys.filter((key) => before[key] !== this.current[key]));
        if (changed.size > 0) {
            for (const listener of this.listeners) {
                listener(this.current, changed);
            }
        }
    }
}
