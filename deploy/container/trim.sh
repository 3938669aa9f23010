#!/bin/sh
# Takes out of an installed anchorwatch what only who develops its packages needs: trim.sh VENV
#
# Each line fails if what it names is no longer there, so that it is looked at with a new version.
# That all still runs, with captures and judging, is what tests/deploy/test_container.py is for.
set -eu
cd "$1"/lib/python3.*/site-packages

# Tests that the packages bring along.
rm -r numpy/tests numpy/*/tests pandas/tests pyarrow/tests onnx/backend/test
# Headers, and what compiles by them.
rm -r pyarrow/include numpy/_core/include
# The same engine again, for programs in C: the module has it in it.
rm onnxruntime/capi/libonnxruntime.so.*
rm -r onnxruntime/transformers onnxruntime/quantization onnxruntime/tools
# Clients of servers that anchorwatch doesn't talk to; pyarrow does without.
rm pyarrow/libarrow_flight.so.* pyarrow/libarrow_python_flight.so* pyarrow/_flight.*
rm pyarrow/libarrow_s3.so.* pyarrow/_s3fs.*

# Programs of packages, some of them for what went just now.
cd ../../../bin
find . -mindepth 1 ! -name 'anchorwatch*' ! -name 'python*' -delete
