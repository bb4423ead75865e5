//go:build torch && cgo && linux

package malloc

/*
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <stddef.h>

// Weak: musl has neither.
extern int malloc_info(int options, FILE *stream) __attribute__((weak));
extern int malloc_trim(size_t pad) __attribute__((weak));

static char *info(void) {
	char *text = NULL;
	size_t size = 0;
	if (!malloc_info) return NULL;
	FILE *f = open_memstream(&text, &size);
	if (!f) return NULL;
	int failed = malloc_info(0, f);
	if (fclose(f) || failed) { free(text); return NULL; }
	return text;
}

static void trim(void) { if (malloc_trim) malloc_trim(0); }
*/
import "C"

import (
	"encoding/xml"
	"unsafe"
)

// Read asks malloc_info; zeros where the C library is not glibc.
func Read() Info {
	text := C.info()
	if text == nil {
		return Info{}
	}
	defer C.free(unsafe.Pointer(text))
	return parse([]byte(C.GoString(text)))
}

// Trim gives what is free back to the system.
func Trim() { C.trim() }

// parse reads the text of malloc_info; zeros if it is another.
func parse(text []byte) (i Info) {
	type sum struct {
		Type string `xml:"type,attr"`
		Size int64  `xml:"size,attr"`
	}
	var doc struct {
		Heaps  []struct{} `xml:"heap"`
		Totals []sum      `xml:"total"`
		System []sum      `xml:"system"`
	}
	if xml.Unmarshal(text, &doc) != nil {
		return Info{}
	}
	i.Arenas = len(doc.Heaps)
	for _, s := range doc.System {
		if s.Type == "current" {
			i.Held = s.Size
		}
	}
	for _, s := range doc.Totals {
		switch s.Type {
		case "fast", "rest":
			i.Free += s.Size
		case "mmap":
			i.Mapped = s.Size
		}
	}
	return i
}
