#pragma once
// libFuzzer's entry point for programs that have a main of their own; the library comes with Swift's toolchain.
#include <stddef.h>
#include <stdint.h>
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*body)(const uint8_t *bytes, size_t count));
