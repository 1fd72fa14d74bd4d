// Files that the page makes and the browser saves.

export function download(name: string, content: BlobPart, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads the content after the click.
  window.setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
