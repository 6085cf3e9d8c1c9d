/** Work that is started anew whenever its input changes, and of which only the last result counts. */

/** Time that work on older input may take once there is newer one. */
const PATIENCE_MS = 500;

export class Latest {
    private running: AbortController | null = null;
    private again = false;

    /** `work` rejects once its signal is aborted; `settled` is called when nothing is left to do. */
    constructor(
        private readonly work: (signal: AbortSignal, cancel: () => void) => Promise<void>,
        private readonly settled: (isCancelled: boolean) => void,
    ) {}

    /** Does the work, or once more after the work at hand. */
    async start(): Promise<void> {
        this.again = true;
        const late = this.running;
        if (late !== null) {
            setTimeout(() => late.abort(), PATIENCE_MS);
            return;
        }
        let isCancelled = false;
        while (this.again) {
            this.again = false;
            const controller = new AbortController();
            this.running = controller;
            try {
                await this.work(controller.signal, () => controller.abort());
                isCancelled = false;
            } catch (error) {
                if (!(error instanceof DOMException && error.name === 'AbortError')) {
                    throw error;
                }
                isCancelled = true;
            } finally {
                this.running = null;
            }
        }
        this.settled(isCancelled);
    }
}
