/** A scenario in the fragment of an address, compressed. Fragments are not sent to servers. */

/** What an address stands for. */
export interface Shared {
    text: string;
    kernel: string | null;
    seed: number | null;
}

/** Most characters of a fragment, and most bytes of a scenario in it. */
const MOST_CHARACTERS = 200_000;
const MOST_BYTES = 1 << 20;

const DEFLATE = 'deflate-raw';

async function through(
    bytes: Uint8Array<ArrayBuffer>,
    stream: CompressionStream | DecompressionStream,
): Promise<Uint8Array<ArrayBuffer>> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
    for (;;) {
        const { done, value } = await reader.read();
        if (done) {
            break;
        }
        length += value.length;
        if (length > MOST_BYTES) {
            await reader.cancel();
            throw new RangeError('the scenario of this address is too large');
        }
        chunks.push(value);
    }
    const all = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
        all.set(chunk, at);
        at += chunk.length;
    }
    return all;
}

function toBase64(bytes: Uint8Array): string {
    let binary = '';
    for (const byte of bytes) {
        binary += String.fromCharCode(byte);
    }
    return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** The fragment of a scenario, without `#`. */
export async function encode(shared: Shared): Promise<string> {
    const bytes = new TextEncoder().encode(shared.text);
    const packed = await through(bytes, new CompressionStream(DEFLATE));
    const fields = new URLSearchParams({ s: toBase64(packed) });
    if (shared.kernel !== null) {
        fields.set('kernel', shared.kernel);
    }
    if (shared.seed !== null) {
        fields.set('seed', String(shared.seed));
    }
    return fields.toString();
}

/** The kernel and the seed of a fragment. */
export function overrides(fields: URLSearchParams): Omit<Shared, 'text'> {
    const seed = Number(fields.get('seed') ?? Number.NaN);
    const kernel = fields.get('kernel');
    return {
        kernel: kernel !== null && /^[\w.-]{1,40}$/.test(kernel) ? kernel : null,
        seed: Number.isSafeInteger(seed) && seed >= 0 ? seed : null,
    };
}

/**
 * The scenario of a fragment. Rejects if the fragment is not one of `encode`, or too large; returns
 * null if it names no scenario.
 */
export async function decode(fragment: string): Promise<Shared | null> {
    if (fragment.length > MOST_CHARACTERS) {
        throw new RangeError('this address is too long');
    }
    const fields = new URLSearchParams(fragment);
    const packed = fields.get('s');
    if (packed === null) {
        return null;
    }
    const bytes = await through(fromBase64(packed), new DecompressionStream(DEFLATE));
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return { text, ...overrides(fields) };
}
