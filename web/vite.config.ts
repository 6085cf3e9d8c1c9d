import { defineConfig } from 'vite';

export default defineConfig({
    // The page works in any directory of any server.
    base: './',
    server: { fs: { allow: ['..'] } },
    build: {
        outDir: '../target/playground',
        emptyOutDir: true,
        target: 'es2022',
        modulePreload: { polyfill: false },
        // An inlined file would be a `data:` address, which the page's policy refuses.
        assetsInlineLimit: 0,
    },
    worker: { format: 'es' },
});
