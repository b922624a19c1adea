package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"signalbox/controller/api"
)

const makesKey = "openssl genpkey -algorithm ed25519 -out FILE makes one"

// openSigner reads the keys that sign tables; nil where there is no file. A file that others may read is taken, and said.
func openSigner(path string, logger *slog.Logger) (api.Signer, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, wrong(makesKey, fmt.Errorf("--web.signing-key-file: %w", err))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, wrong(makesKey, fmt.Errorf("--web.signing-key-file: %w", err))
	}
	keys, err := api.ReadKeys(data)
	if err != nil {
		return nil, wrong(makesKey, fmt.Errorf("--web.signing-key-file: %s: %w", path, err))
	}
	if info.Mode().Perm()&0o077 != 0 {
		logger.Warn("signing key readable by others", "file", path)
	}
	logger.Info("tables signed", "file", path, "keyid", strings.Join(keys.IDs(), " "))
	return keys, nil
}
