// Counts checks; finish() prints "N passed, N failed".
let passed = 0;
let failed = 0;

export function check(name, holds, seen) {
  if (holds) {
    passed++;
  } else {
    failed++;
    console.log(`FAILED: ${name}`, seen === undefined ? "" : JSON.stringify(seen));
  }
}

// The error that a promise ends with, or undefined.
export async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return undefined;
}

export function finish() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
