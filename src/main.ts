declare const XINGRIN_VERSION: string;

const argv = process.argv.slice(2);
const [first = ''] = argv;
if (argv.length === 1 && (first === '--version' || first === '-V')) {
  process.stdout.write(`${XINGRIN_VERSION}\n`);
} else {
  const { main } = await import('./cli.ts');
  process.exitCode = await main(argv);
}

export {};
