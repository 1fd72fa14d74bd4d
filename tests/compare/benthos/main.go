// Benthos, the engine of Redpanda Connect, with an output that syncs a file once for each batch.
package main

import (
	"bytes"
	"context"
	"os"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
)

type syncedFile struct {
	path string
	file *os.File
}

func (output *syncedFile) Connect(context.Context) (err error) {
	output.file, err = os.OpenFile(output.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return err
}

func (output *syncedFile) WriteBatch(_ context.Context, batch service.MessageBatch) error {
	var lines bytes.Buffer
	for _, message := range batch {
		line, err := message.AsBytes()
		if err != nil {
			return err
		}
		lines.Write(line)
		lines.WriteByte('\n')
	}
	if _, err := output.file.Write(lines.Bytes()); err != nil {
		return err
	}
	return output.file.Sync()
}

func (output *syncedFile) Close(context.Context) error { return output.file.Close() }

func main() {
	spec := service.NewConfigSpec().Field(service.NewStringField("path"))
	open := func(conf *service.ParsedConfig, _ *service.Resources) (service.BatchOutput, service.BatchPolicy, int, error) {
		path, err := conf.FieldString("path")
		return &syncedFile{path: path}, service.BatchPolicy{Count: 32, Period: "1ms"}, 2, err
	}
	if err := service.RegisterBatchOutput("synced_file", spec, open); err != nil {
		panic(err)
	}
	service.RunCLI(context.Background())
}
