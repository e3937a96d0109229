// How does something leave the page? As a file of the browser's own.
export function keep(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob); link.download = name.replace(/[^\w.-]+/g, "_"); link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
