# pith: build, test, install. `make help` lists the targets.
.DEFAULT_GOAL := all

ifeq ($(origin CC),default)
CC := gcc
endif
BUILD   ?= build
PREFIX  ?= /usr/local
PYTHON  ?= /usr/bin/python3
OPT     ?= -O2 -g
WERROR  ?=
SANITIZE ?=
FUZZ_SECONDS ?= 60
VERSION := $(shell sed -n 's/^\#define PITH_VERSION "\(.*\)"/\1/p' include/pith.h)
SOVERSION := 3

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes $(WERROR)
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -ffp-contract=off -fPIC -fvisibility=hidden -pthread \
             $(WARN) $(OPT) $(SANITIZE) -Iinclude -I. $(MODULE_CFLAGS) $(CFLAGS)

# What the library and what the command link, by the names that pkg-config knows. Looked up when
# used, so that `make deps` works before pkg-config is there.
LIB_MODULES := libutf8proc libpcre2-8
CLI_MODULES := jansson libedit libmicrohttpd libsodium sqlite3
MODULE_CFLAGS = $(eval MODULE_CFLAGS := $(foreach m,$(LIB_MODULES) $(CLI_MODULES) criterion,\
                  $(shell pkg-config --cflags $(m) 2>/dev/null)))$(MODULE_CFLAGS)
LIB_LIBS = $(shell pkg-config --libs $(LIB_MODULES)) -lm -ldl -pthread
CLI_LIBS = $(shell pkg-config --libs $(CLI_MODULES))

# What the machine must have for each target: rows of packaging/needs.sh; those with a ? are optional.
NEEDS_lib := cc libc-headers pkg-config $(LIB_MODULES)
NEEDS_build := $(NEEDS_lib) $(CLI_MODULES) openblas?
NEEDS_unit := $(NEEDS_build) criterion
NEEDS_test := $(NEEDS_unit) python3 numpy jinja2? groff? sqlite3-shell
NEEDS_bench := $(NEEDS_build) python3 gnuplot
NEEDS_ci := $(NEEDS_test) gnuplot objdump clang clang-format fuzzer
NEEDS_coverage := $(NEEDS_build) clang fuzzer llvm-cov
NEEDS_mpi := $(NEEDS_build) openmpi mpirun
NEEDS_arm64 := $(NEEDS_build) arm64-cc arm64-libc qemu-aarch64
needs = CC='$(CC)' PYTHON='$(PYTHON)' packaging/needs.sh

# Layers, lowest first; tests/check_includes.sh lists which may include which.
SIMD_DIRS := simd $(addprefix simd/,scalar x86 arm)
LIB_DIRS := base grammar $(SIMD_DIRS) families weights tokenizer engine
CLI_DIRS := convert store perf server cli

# The vector kernels of other processors stay out; simd/detect.c knows which are there.
MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null | cut -d- -f1)
NOT_HERE := $(if $(filter x86_64 amd64 i%86,$(MACHINE)),,simd/x86/% \
            perf/probe_a% perf/probe_vnni% perf/probe_bf16% tests/test_simd_amx% tests/amx_% \
            tests/tile_unit%) \
            $(if $(filter aarch64 arm64,$(MACHINE)),,simd/arm/%)

# `make V=1` shows whole commands.
V ?= 0
ifeq ($(V),0)
Q := @
say = @echo '  $(1)	$(patsubst $(BUILD)/%,%,$@)'
endif

sources = $(filter-out $(NOT_HERE),$(foreach d,$(1),$(wildcard $(d)/*.c)))
objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
LIB_OBJS := $(call objects,$(call sources,$(LIB_DIRS)))
CLI_OBJS := $(call objects,$(filter-out store/extension.c,$(call sources,$(CLI_DIRS))))
TOOL_OBJS := $(filter-out $(BUILD)/cli/%,$(CLI_OBJS))
LOAD_OBJS := $(call objects,$(filter-out perf/load/main.c,$(wildcard perf/load/*.c)))
EXAMPLES := $(patsubst examples/%.c,$(BUILD)/examples/%,$(wildcard examples/*.c))

GOLDEN_SRCS := $(wildcard tests/test_golden*.c)
UNIT_SRCS := $(filter-out $(GOLDEN_SRCS) $(NOT_HERE),$(wildcard tests/test_*.c))
HELP_SRCS := $(filter-out tests/plain.c tests/test_% $(NOT_HERE),$(wildcard tests/*.c))
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

# One file per instruction set, each with its own flags; nothing else is built for one.
$(BUILD)/simd/x86/avx2%.o: ISA := -mavx2 -mfma -mf16c
$(BUILD)/simd/x86/avxvnni%.o: ISA := -mavxvnni -mavx2 -mfma -mf16c
$(BUILD)/simd/x86/avx512%.o: ISA := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c
$(BUILD)/simd/x86/vnni%.o: ISA := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx2 -mfma \
                              -mf16c
$(BUILD)/simd/x86/amx%.o: ISA := -mamx-tile -mamx-int8 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 \
                             -mfma -mf16c
$(BUILD)/simd/arm/dot%.o: ISA := -march=armv8.2-a+dotprod
$(BUILD)/simd/arm/i8mm%.o: ISA := -march=armv8.2-a+dotprod+i8mm
# The probes of the machine's limits: plain C at its best, and one file per instruction set.
$(BUILD)/perf/probe_scalar.o: ISA := -O3
$(BUILD)/perf/probe_avx2.o: ISA := -mavx2 -mfma
$(BUILD)/perf/probe_avxvnni.o: ISA := -mavxvnni -mavx2
$(BUILD)/perf/probe_avx512.o: ISA := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma
$(BUILD)/perf/probe_vnni.o: ISA := -mavx512f -mavx512bw -mavx512vnni
$(BUILD)/perf/probe_amx.o: ISA := -mamx-tile -mamx-int8
$(BUILD)/perf/probe_bf16.o: ISA := -mavx512f -mavx512bw -mavx512bf16

$(BUILD)/simd/%.o: KERNEL := $(KERNEL_CFLAGS)

# Linked with SQLite here; the loadable extension is compiled again without.
$(BUILD)/store/%.o: ISA := -DSQLITE_CORE
EXTENSION_OBJS := $(patsubst %,$(BUILD)/extension/store/%.o,extension functions)

# What the asked targets need is looked for before the first compile; BUILD/needs-* says it was there.
goals := $(or $(MAKECMDGOALS),all)
compile := $(if $(filter unit% golden golden-bin gates,$(goals)),unit,$(if \
             $(filter-out lib $(BUILD)/libpith.%,$(goals)),build,lib))
FOUND := $(BUILD)/needs-$(compile)
$(FOUND): Makefile packaging/needs.sh
	@DEPS=deps-$(if $(filter unit,$(compile)),test,build) $(needs) check $(NEEDS_$(compile))
	@mkdir -p $(@D) && touch $@

.PHONY: all lib examples
all: lib $(BUILD)/pith $(BUILD)/pith.1 $(BUILD)/pith_sqlite.so examples ## build all of it
LIB_FILES := $(addprefix $(BUILD)/,libpith.a libpith.so pith.pc pithConfig.cmake pithConfigVersion.cmake)
lib: $(LIB_FILES) ## build libpith.a, libpith.so and what pkg-config and CMake read about them
examples: $(EXAMPLES) ## build the programs in examples/

$(BUILD)/%.o: %.c | $(FOUND)
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ISA) $(KERNEL) -MMD -MP -c $< -o $@

# The web page of the service, as the bytes of a C array.
$(BUILD)/server/page.inc: server/page.html
	@mkdir -p $(@D)
	@od -An -v -tu1 $< | sed 's/[0-9][0-9]*/&,/g' > $@.tmp && mv $@.tmp $@
$(BUILD)/server/page.o: $(BUILD)/server/page.inc
$(BUILD)/server/page.o: ISA := -I$(BUILD)

$(BUILD)/libpith.a: $(LIB_OBJS)
	$(call say,AR)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/libpith.so.$(SOVERSION): $(LIB_OBJS)
	$(call say,LD)
	$(Q)$(CC) -shared $(SANITIZE) -Wl,-soname,libpith.so.$(SOVERSION) -o $@ $^ $(LIB_LIBS)

$(BUILD)/libpith.so: $(BUILD)/libpith.so.$(SOVERSION)
	@ln -sf libpith.so.$(SOVERSION) $@

.PHONY: always
$(BUILD)/pith.pc: always # PREFIX may have changed
	@mkdir -p $(@D)
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' \
	  'Name: pith' 'Description: Llama-family language models and sentence encoders on a CPU' 'Version: $(VERSION)' \
	  'Requires.private: $(LIB_MODULES)' 'Libs: -L$${libdir} -lpith' \
	  'Libs.private: -lm -ldl -pthread' 'Cflags: -I$${includedir}' > $@

$(BUILD)/%.cmake: packaging/%.cmake.in Makefile include/pith.h
	@mkdir -p $(@D)
	@sed -e 's/@LIB_MODULES@/$(LIB_MODULES)/' -e 's/@VERSION@/$(VERSION)/' \
	  -e 's/@SOVERSION@/$(SOVERSION)/' $< > $@

$(BUILD)/pith: $(CLI_OBJS) $(BUILD)/libpith.a
	$(call say,LD)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(CLI_LIBS) $(LIB_LIBS)

# pith over several processes, on Open MPI; nothing else is built with it or links it.
MPI_OBJS := $(call objects,$(wildcard mpi/*.c))
MPI_LIBS = $(shell pkg-config --libs ompi-c)
MPI_IF_THERE = $(if $(shell pkg-config --exists ompi-c && command -v mpirun),$(BUILD)/pith-mpi)
$(BUILD)/mpi/%.o $(BUILD)/tests/mpi/%.o: ISA = $(shell pkg-config --cflags ompi-c)
.PHONY: mpi
mpi: deps-mpi ## build pith-mpi, which runs a model over several processes (installs Open MPI)
	@$(MAKE) --no-print-directory $(BUILD)/pith-mpi
$(BUILD)/pith-mpi: $(filter-out $(BUILD)/cli/main.o,$(CLI_OBJS)) $(MPI_OBJS) $(BUILD)/libpith.a
	$(call say,LD)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(MPI_LIBS) $(CLI_LIBS) $(LIB_LIBS)
$(BUILD)/mpi-crew: $(BUILD)/tests/mpi/crew.o $(filter-out %/main.o,$(MPI_OBJS)) $(TOOL_OBJS) $(BUILD)/libpith.a
	$(call say,LD)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(MPI_LIBS) $(CLI_LIBS) $(LIB_LIBS)

$(BUILD)/load: $(call objects,$(wildcard perf/load/*.c))
	$(call say,LD)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ -lm
.PHONY: load
load: $(BUILD)/load ## build the load generator for HTTP services

$(BUILD)/extension/%.o: %.c | $(FOUND)
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/pith_sqlite.so: $(EXTENSION_OBJS) $(BUILD)/libpith.a
	$(call say,LD)
	$(Q)$(CC) -shared $(SANITIZE) -o $@ $^ $(LIB_LIBS)

$(BUILD)/pith.1: $(BUILD)/pith
	@$(BUILD)/pith help --man > $@.tmp && mv $@.tmp $@

$(BUILD)/examples/%: examples/%.c $(BUILD)/libpith.so
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< -L$(BUILD) -lpith -lm -Wl,-rpath,'$$ORIGIN/..'

# ---- The two commands of a fresh machine ---------------------------------------------------------

.PHONY: deps deps-build deps-test deps-bench deps-arm64 deps-coverage deps-mpi deps-ci demo test
deps-build deps-test deps-bench deps-arm64 deps-coverage deps-mpi deps-ci: deps-%:
	@$(needs) install $(NEEDS_$*)
deps: deps-ci ## install what building, testing and CI need, or say how

DEMO := 3 'Tell me a story about a fox and a lost key.' 'What did the fox want?'
demo: deps-build ## install what is missing, build, talk with the storyteller, and search
	@$(MAKE) --no-print-directory -j$$(nproc) $(BUILD)/pith
	@packaging/demo.sh $(BUILD)/pith weights/models/story-int4.pith weights/models/search-int8.pith \
	    $(DEMO)

# What a machine with an NVIDIA GPU does in minutes takes CPUs hours, in a smaller setting.
STORY_ON_CPUS := --small --windows 256:1000,512 --fall 2400 --minutes 120
STORY_FLAGS ?= $(if $(shell command -v nvidia-smi 2>/dev/null),--minutes 8,$(STORY_ON_CPUS))
.PHONY: models
models: $(BUILD)/pith ## train the storyteller anew (needs PyTorch, SentencePiece and NumPy; see STORY_FLAGS)
	$(PYTHON) weights/models/story/train.py --out $(BUILD)/story $(STORY_FLAGS)
	$(BUILD)/pith convert $(BUILD)/story/model weights/models/story-int4.pith --type int4
	$(BUILD)/pith convert $(BUILD)/story/model weights/models/story-int8.pith --type int8

# The search encoder. Its pairs come from Debian packages, which are downloaded and not installed. On
# CPUs the run goes on when the command is given again; --steps may then name another end, as long as
# the learning rate has not begun to fall.
SEARCH := $(BUILD)/search
# The setting for CPUs is that of the model in git.
SEARCH_FLAGS ?= $(if $(shell command -v nvidia-smi 2>/dev/null),--minutes 12,--steps 240 --rows 128 --rate 0.002 --warmup 30)
.PHONY: search-pairs search-model
search-pairs: $(BUILD)/pith ## make the search encoder's training pairs (needs Debian 12, groff, NumPy and a network)
	$(PYTHON) weights/models/search/pairs.py fetch $(SEARCH)/packages
	$(PYTHON) weights/models/search/pairs.py read $(SEARCH)/packages
	$(PYTHON) weights/models/search/pairs.py pack $(SEARCH)/packages $(SEARCH)/data --all --pith $(BUILD)/pith
$(SEARCH)/words.npz:
	$(PYTHON) weights/models/search/words.py $(SEARCH)/data $@
search-model: $(BUILD)/pith $(SEARCH)/words.npz ## train the search encoder on those pairs (needs PyTorch and NumPy; see SEARCH_FLAGS)
	$(PYTHON) weights/models/search/train.py $(SEARCH)/data --out $(SEARCH)/run \
	  --words $(SEARCH)/words.npz $(SEARCH_FLAGS)
	$(BUILD)/pith convert $(SEARCH)/run/model weights/models/search-int8.pith --type int8

test: deps-test ## install what is missing, build, and run every test
	@$(MAKE) --no-print-directory -j$$(nproc) all unit-bin golden-bin $(BUILD)/failm.so $(MPI_IF_THERE)
	@tests/all.sh unit '$(RUN_UNIT)' golden '$(RUN_GOLDEN)' 'reference scripts' '$(RUN_SCRIPTS)' \
	  'command checks' '$(RUN_CLI)'

# ---- Tests ---------------------------------------------------------------------------------------

.PHONY: unit unit-bin golden golden-bin golden-scripts golden-real cli-test oom gates plain plain-bin threads-bin
CRITERION_LIBS = $(shell pkg-config --libs criterion)
CRITERION_JOBS ?= 2
RUN_UNIT = $(BUILD)/tests/unit -j$(CRITERION_JOBS)
RUN_GOLDEN = $(BUILD)/tests/golden -j$(CRITERION_JOBS)
RUN_SCRIPTS = tests/reference.sh $(PYTHON) $(BUILD)/pith
RUN_CLI = PITH=$(BUILD)/pith PYTHON=$(PYTHON) tests/cli/run.sh
test_objects = $(call objects,$(1) $(HELP_SRCS)) $(TOOL_OBJS) $(LOAD_OBJS) $(BUILD)/libpith.a
$(BUILD)/tests/unit: $(call test_objects,$(UNIT_SRCS))
	$(call say,LD)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(CRITERION_LIBS) $(CLI_LIBS) $(LIB_LIBS)
$(BUILD)/tests/golden: $(call test_objects,$(GOLDEN_SRCS))
	$(call say,LD)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(CRITERION_LIBS) $(CLI_LIBS) $(LIB_LIBS)
unit-bin: $(BUILD)/tests/unit
golden-bin: $(BUILD)/tests/golden
unit: unit-bin ## the unit tests
	$(RUN_UNIT)
golden: golden-bin golden-scripts ## the tests against reference outputs
	$(RUN_GOLDEN)
golden-scripts: $(BUILD)/pith ## pith's logits and an independent numpy implementation against that data
	$(RUN_SCRIPTS)
golden-real: $(BUILD)/pith ## pith on published tokenizers against reference ids, both in DIR=... (golden/check_tokenizers.py)
	$(PYTHON) golden/check_tokenizers.py $(BUILD)/pith $(DIR)
cli-test: $(BUILD)/pith $(BUILD)/pith_sqlite.so $(BUILD)/failm.so examples ## the command and the examples, as a user runs them
	$(RUN_CLI)

.PHONY: mpi-test mpi-test-bin
RUN_MPI = PITH=$(BUILD)/pith PITH_MPI=$(BUILD)/pith-mpi CREW=$(BUILD)/mpi-crew PYTHON=$(PYTHON) \
          JOBS=1 tests/cli/run.sh tests/mpi/test_*.sh
mpi-test-bin: lib $(BUILD)/pith $(BUILD)/pith-mpi $(BUILD)/mpi-crew
mpi-test: deps-mpi ## pith-mpi: the bits of one process, ranks that are killed (installs Open MPI; four minutes)
	@$(MAKE) --no-print-directory -j$$(nproc) mpi-test-bin
	$(RUN_MPI)

# Random templates; cli-test renders a few hundred of them.
.PHONY: templates
TEMPLATES := 20000
templates: $(BUILD)/pith ## random chat templates against Jinja2 (needs python3-jinja2; half an hour)
	$(PYTHON) tests/jinja_differential.py $(TEMPLATES) 1 $(BUILD)/pith

# The service as its clients see it: storms, malformed requests, clients that leave, real clients.
.PHONY: service-test clients page replicas faults soak
SERVICE_TESTS := codes channels spin operation format strict usage quota disconnect hostile trouble vectors rerank ollama
# How many requests each sends on a sanitized build, which is slow; by default hundreds or thousands.
SERVICE_FEW := SERVICE_strict=40 SERVICE_usage=20 SERVICE_quota='16 400' SERVICE_disconnect=100 SERVICE_hostile=1500 \
               SERVICE_vectors='400 3'
service-test: $(BUILD)/pith ## the service under storms of requests, good and malformed (three minutes)
	@tests/all.sh $(foreach t,$(SERVICE_TESTS),$(t) '$(PYTHON) tests/server/$(t).py $(BUILD)/pith $(SERVICE_$(t))')
clients: $(BUILD)/pith ## npm openai, @ai-sdk/openai-compatible and ollama, and Spin's bytes against the service
	$(PYTHON) tests/clients/run.py $(BUILD)/pith $(BUILD)/clients

page: $(BUILD)/pith ## the web page of the service in Chromium (needs chromium and chromium-driver)
	$(PYTHON) tests/server/page.py $(BUILD)/pith $(BUILD)/page

replicas: $(BUILD)/pith ## three services behind HAProxy, one killed under load (needs haproxy)
	$(PYTHON) tests/server/replicas.py $(BUILD)/pith

faults: $(BUILD)/pith ## the service killed a hundred times under load, on a full disk, with cut models
	$(PYTHON) tests/server/faults.py $(BUILD)/pith
soak: $(BUILD)/pith ## the service under a mixed load for 20 minutes: memory, descriptors, the ledger
	$(PYTHON) tests/server/soak.py $(BUILD)/pith

# cli-test takes 40 of the schemas.
.PHONY: grammar-test grammar-time
grammar-test: $(BUILD)/libpith.so ## what the model that ships writes under 1,000 random JSON schemas (two minutes)
	$(PYTHON) tests/grammar/random_schemas.py $(BUILD)/libpith.so weights/models/story-int4.pith 1000

GRAMMAR_MODEL ?= weights/models/story-int4.pith
$(BUILD)/mask_time: tests/grammar/mask_time.c $(BUILD)/libpith.so
	$(call say,CC)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< -L$(BUILD) -lpith -lm -Wl,-rpath,'$$ORIGIN'
grammar-time: $(BUILD)/mask_time ## how long a grammar's masks take with GRAMMAR_MODEL's vocabulary
	$(BUILD)/mask_time $(GRAMMAR_MODEL)

# Every allocation of the process failed in turn; cli-test does that for a sample of them.
$(BUILD)/failm.so: tests/oom/failm.c
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -fvisibility=default -shared -o $@ $<
oom: $(BUILD)/pith $(BUILD)/failm.so ## run the commands with every allocation failed in turn (half an hour)
	$(PYTHON) tests/oom/sweep.py $(BUILD)/pith $(BUILD)/failm.so

# The same tests without Criterion, for ThreadSanitizer and emulators.
$(BUILD)/plain/%.o: %.c | $(FOUND)
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -DPITH_TEST_PLAIN -MMD -MP -c $< -o $@
# Parts of the service that threads share.
SERVER_PARTS := turn job scheduler embedder models ledger watch metrics server
PLAIN_SRCS := $(UNIT_SRCS) $(GOLDEN_SRCS) $(HELP_SRCS) tests/plain.c
THREAD_SRCS := $(wildcard tests/test_base_pool.c tests/test_bench*.c tests/test_engine_*.c \
                 $(patsubst %,tests/test_%*.c,$(SERVER_PARTS))) \
               tests/test_golden_embed.c tests/test_golden_identity.c tests/test_pith_file.c \
               tests/test_ranks.c tests/test_ranks_faults.c tests/test_ranks_use.c \
               $(HELP_SRCS) tests/plain.c
plain_objects = $(patsubst %.c,$(BUILD)/plain/%.o,$(1)) $(TOOL_OBJS) $(LOAD_OBJS) \
                $(BUILD)/libpith.a
$(BUILD)/tests/plain: $(call plain_objects,$(PLAIN_SRCS))
$(BUILD)/tests/threads: $(call plain_objects,$(THREAD_SRCS))
$(BUILD)/tests/plain $(BUILD)/tests/threads:
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(CLI_LIBS) $(LIB_LIBS)
plain-bin: $(BUILD)/tests/plain
threads-bin: $(BUILD)/tests/threads
plain: plain-bin ## all tests through the plain runner
	$(BUILD)/tests/plain

# AArch64 by cross-compiler and emulator: what needs no other library, linked statically. cortex-a53
# has no dot product instructions, neoverse-n1 no matrix ones: there a kernel built with the wrong
# flags stops on an illegal instruction.
.PHONY: arm64-test arm64-bin
ARM64_BUILD := $(BUILD)/arm64
MASKED := simd_table simd_product simd_attention simd_encoder
ARM64_SRCS := $(filter-out $(NOT_HERE),$(wildcard tests/test_base_*.c tests/test_simd_*.c)) \
              tests/simd_data.c tests/simd_problem.c tests/support.c tests/plain.c
$(BUILD)/tests/arm64: $(patsubst %.c,$(BUILD)/plain/%.o,$(ARM64_SRCS)) \
                      $(call objects,$(call sources,base $(SIMD_DIRS)))
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(SANITIZE) -static -o $@ $^ -lm -pthread
arm64-bin: $(BUILD)/tests/arm64
arm64-test: deps-arm64 ## the tests of base and simd for AArch64, under qemu (installs what is missing)
	@$(MAKE) --no-print-directory CC=aarch64-linux-gnu-gcc BUILD=$(ARM64_BUILD) \
	  CFLAGS='-idirafter /usr/include' arm64-bin
	PITH_TEST_BEST_ISA=neon-i8mm qemu-aarch64 -cpu max $(ARM64_BUILD)/tests/arm64
	PITH_TEST_BEST_ISA=neon-dot qemu-aarch64 -cpu neoverse-n1 $(ARM64_BUILD)/tests/arm64 $(MASKED)
	PITH_TEST_BEST_ISA=neon qemu-aarch64 -cpu cortex-a53 $(ARM64_BUILD)/tests/arm64 $(MASKED)

# ---- Sanitizers, fuzzing, checks -----------------------------------------------------------------

.PHONY: asan ubsan tsan service-asan service-tsan fuzz fuzz-tests coverage format check-format check-includes check-spills
SANITIZE_OPT := -O1 -g -fno-omit-frame-pointer
asan: ## the tests under AddressSanitizer and UBSan, and the gates that prove they go red
	$(MAKE) BUILD=$(BUILD)/asan OPT='$(SANITIZE_OPT)' \
	  SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all' unit-bin golden-bin gates
	$(BUILD)/asan/tests/unit -j$(CRITERION_JOBS)
	$(BUILD)/asan/tests/golden -j$(CRITERION_JOBS)
ubsan: ## the tests under UBSan alone
	$(MAKE) BUILD=$(BUILD)/ubsan OPT='$(SANITIZE_OPT)' \
	  SANITIZE='-fsanitize=undefined -fno-sanitize-recover=all' unit golden-bin
	$(BUILD)/ubsan/tests/golden -j$(CRITERION_JOBS)
# Two processes of about the same length.
TSAN_golden := golden/int4_is_identical embed/concurrent pith_file/read pith_file/loading \
               pith_file/opens_every ranks
# Of the ledger only tests without injected faults, which fail allocations of one thread for minutes.
TSAN_others := pool engine bench $(filter-out ledger,$(SERVER_PARTS)) ledger/
tsan: ## the tests that use threads under ThreadSanitizer
	$(MAKE) BUILD=$(BUILD)/tsan OPT='$(SANITIZE_OPT)' SANITIZE=-fsanitize=thread threads-bin
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan tsan-golden tsan-others
.PHONY: tsan-golden tsan-others
tsan-golden tsan-others: tsan-%:
	TSAN_OPTIONS=halt_on_error=1 $(BUILD)/tests/threads $(TSAN_$*)
service-asan: ## the service under storms, with AddressSanitizer and UBSan
	$(MAKE) BUILD=$(BUILD)/asan OPT='$(SANITIZE_OPT)' \
	  SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all' $(SERVICE_FEW) service-test
service-tsan: ## the service under storms, with ThreadSanitizer
	TSAN_OPTIONS=halt_on_error=1 $(MAKE) BUILD=$(BUILD)/tsan OPT='$(SANITIZE_OPT)' \
	  SANITIZE=-fsanitize=thread $(SERVICE_FEW) service-test
.PRECIOUS: $(BUILD)/tests/gates/%.o
$(BUILD)/gates/%: $(BUILD)/tests/gates/%.o $(BUILD)/libpith.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ $(CRITERION_LIBS) $(LIB_LIBS)
gates: $(BUILD)/gates/leak $(BUILD)/gates/overflow $(BUILD)/gates/arena
	@for gate in $^; do if $$gate >/dev/null 2>&1; then echo "$$gate passed: leaks or overflows go \
	unnoticed"; exit 1; else echo "$$gate fails, as it must"; fi; done

# The kernels are not searched for new branches: no input decides theirs, and it makes them slow.
FUZZ_BUILD := $(BUILD)/fuzz
FUZZ_HELP := $(addprefix tests/,support.c tokens.c fixture.c gguf.c json_reference.c fuzz/input.c \
             fuzz/disk.c) \
             cli/json_lines.c
FUZZ_FLAGS := CC=clang BUILD=$(FUZZ_BUILD) OPT='-O1 -g' \
              SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all' \
              KERNEL_CFLAGS='-O2 -fno-sanitize=fuzzer-no-link'
fuzz: ## every fuzz harness for FUZZ_SECONDS
	$(MAKE) $(FUZZ_FLAGS) $(foreach f,$(FUZZERS),$(FUZZ_BUILD)/run/$(f))
	@$(MAKE) --no-print-directory BUILD=$(FUZZ_BUILD) $(addprefix fuzz-,$(FUZZERS))
fuzz-tests: ## the tests in the build of the harnesses: clang, AddressSanitizer, UBSan
	$(MAKE) $(FUZZ_FLAGS) all unit-bin golden-bin gates
	$(FUZZ_BUILD)/tests/unit -j$(CRITERION_JOBS)
	$(FUZZ_BUILD)/tests/golden -j$(CRITERION_JOBS)
.PHONY: $(addprefix fuzz-,$(FUZZERS))
# Harnesses that write files write them to /dev/shm where the system has it: that is memory.
FUZZ_TMPDIR = $(firstword $(TMPDIR) $(wildcard /dev/shm) /tmp)
$(addprefix fuzz-,$(FUZZERS)): fuzz-%:
	@mkdir -p $(BUILD)/found/$*
	@TMPDIR=$(FUZZ_TMPDIR) $(BUILD)/run/$* -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
	  -rss_limit_mb=2048 -max_len=131072 -print_final_stats=1 \
	  $(patsubst %,-dict=%,$(wildcard tests/fuzz/dict/$*.dict)) \
	  -artifact_prefix=$(BUILD)/found/$*- $(BUILD)/found/$* tests/fuzz/corpus/$* \
	  2>$(BUILD)/$*.log || { tail -40 $(BUILD)/$*.log; exit 1; }
	@echo "$*: $$(grep stat::number_of_executed_units $(BUILD)/$*.log)"
.PRECIOUS: $(BUILD)/%.o # else removed after linking, and compiled again
$(BUILD)/run/%: $(BUILD)/tests/fuzz/fuzz_%.o $(call objects,$(FUZZ_HELP)) $(TOOL_OBJS) $(BUILD)/libpith.a
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(SANITIZE) -fsanitize=fuzzer -o $@ $^ $(CLI_LIBS) $(LIB_LIBS)

COVERAGE_BUILD := $(BUILD)/coverage
coverage: ## what the fuzz corpora reach of each parser; FILE=...: the branches they miss there
	@DEPS=deps-coverage $(needs) check $(NEEDS_coverage)
	@$(MAKE) CC=clang BUILD=$(COVERAGE_BUILD) OPT='-O1 -g' WARN=-w \
	  SANITIZE='-fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping' \
	  $(foreach f,$(FUZZERS),$(COVERAGE_BUILD)/run/$(f))
	@TMPDIR=$(FUZZ_TMPDIR) tests/coverage.sh $(COVERAGE_BUILD) $(FUZZ_BUILD)/found $(FILE)

C_FILES = $(shell git ls-files '*.c' '*.h')
format: ## format every C file
	clang-format -i $(C_FILES)
check-format: ## fail when a C file is not formatted
	@clang-format --dry-run -Werror $(C_FILES)
check-includes: ## fail when a layer includes one it must not see
	tests/check_includes.sh
check-spills: $(call objects,$(wildcard $(addprefix simd/x86/,vnni_*.c avx2_int*.c avxvnni_*.c amx_tile.c))) ## fail when a hot loop stores vectors to the stack (x86-64)
	tests/check_spills.sh $(BUILD) $(CC)

.PHONY: bench install uninstall clean help
BENCH_DIR := $(BUILD)/bench
BENCH_MODEL := --shape tinyllama-1b --type int4
bench: deps-bench ## the machine's limits, the speed of the TinyLlama shape beside them, plots
	@$(MAKE) --no-print-directory -j$$(nproc) $(BUILD)/pith
	perf/suite $(BUILD)/pith $(BENCH_DIR) $(BENCH_MODEL)

SHIPPED := $(wildcard weights/models/*.pith)
INSTALLED := bin/pith lib/libpith.a lib/libpith.so lib/libpith.so.$(SOVERSION) lib/pith_sqlite.so \
             include/pith.h lib/pkgconfig/pith.pc lib/cmake/pith/pithConfig.cmake \
             lib/cmake/pith/pithConfigVersion.cmake share/man/man1/pith.1 \
             lib/systemd/system/pith.service lib/systemd/system/pith.socket \
             share/doc/pith/service.md $(addprefix share/pith/models/,$(notdir $(SHIPPED)))
install: all ## install under PREFIX
	install -d $(sort $(dir $(addprefix $(DESTDIR)$(PREFIX)/,$(INSTALLED))))
	install -m 755 $(BUILD)/pith $(DESTDIR)$(PREFIX)/bin/
	install -m 644 $(BUILD)/libpith.a $(DESTDIR)$(PREFIX)/lib/
	install -m 755 $(BUILD)/pith_sqlite.so $(DESTDIR)$(PREFIX)/lib/
	install -m 755 $(BUILD)/libpith.so.$(SOVERSION) $(DESTDIR)$(PREFIX)/lib/
	ln -sf libpith.so.$(SOVERSION) $(DESTDIR)$(PREFIX)/lib/libpith.so
	install -m 644 include/pith.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 $(BUILD)/pith.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig/
	install -m 644 $(BUILD)/pithConfig.cmake $(BUILD)/pithConfigVersion.cmake \
	  $(DESTDIR)$(PREFIX)/lib/cmake/pith/
	install -m 644 $(BUILD)/pith.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 $(SHIPPED) $(DESTDIR)$(PREFIX)/share/pith/models/
	install -m 644 docs/service.md $(DESTDIR)$(PREFIX)/share/doc/pith/
	install -m 644 server/pith.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/
	sed 's|@PREFIX@|$(PREFIX)|' server/pith.service > \
	  $(DESTDIR)$(PREFIX)/lib/systemd/system/pith.service
	$(if $(DESTDIR),,@packaging/installed.sh $(PREFIX))

uninstall: ## remove what install put under PREFIX
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,$(INSTALLED))
	@rmdir $(addprefix $(DESTDIR)$(PREFIX)/,lib/cmake/pith share/pith/models share/pith \
	  share/doc/pith) 2>/dev/null || true

clean: ## remove build/
	rm -rf $(BUILD)

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 18

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
