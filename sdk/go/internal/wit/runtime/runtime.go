// Package runtime allocates the memory that the host and the plugin exchange, for the generated bindings.
package runtime

import (
	"runtime"
	"unsafe"
)

// What the adapter of WASI preview 1 allocates while Go's own runtime starts: its state and its stack, of 64 KiB each, and
// their alignment.
const earlyBytes = 4 * 64 * 1024

var (
	early     [earlyBytes]byte
	earlyUsed uintptr
	isStarted bool
	pinner    runtime.Pinner
)

func init() { isStarted = true }

// Allocate returns memory that is kept until the pinner is unpinned.
func Allocate(pinner *runtime.Pinner, size, align uintptr) unsafe.Pointer {
	if size == 0 {
		return nil
	}
	// Words are aligned for every type of the interface.
	pointer := unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	pinner.Pin(pointer)
	return pointer
}

// Unpin releases the memory of the arguments of a call.
func Unpin() { pinner.Unpin() }

//go:wasmexport cabi_realloc
func cabiRealloc(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	if old != nil || oldSize != 0 {
		panic("memory of the interface does not grow")
	}
	if isStarted {
		return Allocate(&pinner, size, align)
	}
	start := uintptr(unsafe.Pointer(&early))
	at := (start+earlyUsed+align-1)&^(align-1) - start
	if at+size > earlyBytes {
		panic("the adapter needs more memory than is set aside")
	}
	earlyUsed = at + size
	return unsafe.Pointer(&early[at])
}
