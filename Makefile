# Targets for users: build, demo. For developers: test, check, bench, test-clients, acceptance. See CONTRIBUTING.md.
GO       ?= go
BIN      ?= bin
CACHE    ?= .cache
# What the tests may not skip: a missing one fails them.
REQUIRE  ?= root,qemu-system-x86_64,qemu-img,nft,ip,isoinfo,tinyguest,qemu10,ceph-mon,rbd,qemu-io,librbd-dev,tgtd,iscsi-ls,zstd,lzop,swtpm,gcc,losetup,mkfs.xfs,xfs,patch,qemu-ga

export CGO_ENABLED = 0

.PHONY: build deps guest qemu10 lab demo test test-lab test-clients bench soak check acceptance generate clean

build:
	$(GO) build -trimpath -o $(BIN)/ ./daemon/cmd/gpved ./daemon/cmd/gpvectl

# The Debian packages that running and testing need; nothing happens when all are there.
deps:
	@.ci/packages

# The small guest that tests and the demonstration boot.
guest: deps
	@internal/tinyguest/build.sh $(CACHE)/tinyguest

demo: deps guest build
	@$(GO) run ./internal/demo -gpved $(BIN)/gpved -guest $(CACHE)/tinyguest/disk.qcow2 $(if $(KEEP),-keep)

# A second QEMU, of Debian's backports, unpacked beside the system's.
qemu10: deps
	@.ci/qemu10 $(CACHE)/qemu10

# What talks to QEMU is tested on both.
test: deps guest qemu10
	GPVE_TEST_REQUIRE=$(REQUIRE) CGO_ENABLED=1 $(GO) test -race -timeout 20m ./...
	GPVE_QEMU=$(CURDIR)/$(CACHE)/qemu10/qemu-system-x86_64 GPVE_TEST_REQUIRE=$(REQUIRE) CGO_ENABLED=1 \
		$(GO) test -race -timeout 20m ./qmp/... ./examples/01-qmp ./examples/02-machine
	GPVE_TEST_REQUIRE=$(REQUIRE) $(GO) test ./qmp/goqemu # go-qemu's own monitor is left out under -race, as it has races

# The kernel lab's image: Debian's kernel with ZFS and a root file system, kept in the user's cache folder.
lab: deps
	@$(GO) run ./internal/lab image

test-lab: deps guest lab
	@$(GO) run ./internal/lab test

test-clients: deps guest build
	cd internal/clienttest && GPVED=$(CURDIR)/$(BIN)/gpved GPVE_TINYGUEST=$(CURDIR)/$(CACHE)/tinyguest $(GO) test -count=1 -timeout 15m ./...

# Long runs; the tests have short forms of them.
soak: deps
	GPVE_SOAK_SESSIONS=100000 $(GO) test -count=1 -v -timeout 30m -run 'TestSoak' ./qmp

bench: deps guest
	$(GO) test -run '^$$' -bench . -benchmem ./...

check:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'run gofmt'; exit 1; }
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	$(GO) build -C internal/tools -o $(CURDIR)/$(BIN)/staticcheck honnef.co/go/tools/cmd/staticcheck && $(BIN)/staticcheck ./...
	$(GO) generate ./... && git diff --exit-code -- '*zz_*'
	$(GO) mod tidy -diff

# VECTORS is a folder of acceptance cases with its runners.
acceptance: build
	@.ci/acceptance '$(VECTORS)' $(BIN)/gpved

generate:
	$(GO) generate ./...

clean:
	rm -rf $(BIN) $(CACHE)
