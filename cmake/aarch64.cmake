# SPDX-License-Identifier: Apache-2.0
# Cross-building for aarch64 with Debian's compiler; tests run under qemu-user.  PLIM_ARM64_ROOT is a folder into which
# the arm64 packages of the libraries were unpacked (./run test makes one).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)

list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES PLIM_ARM64_ROOT)
set(CMAKE_FIND_ROOT_PATH ${PLIM_ARM64_ROOT})
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${PLIM_ARM64_ROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${PLIM_ARM64_ROOT}/usr/lib/aarch64-linux-gnu/pkgconfig)
