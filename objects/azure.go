package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"mainstem/backup"
)

// AzureVariable is the variable with the connection string of a storage account, which
// Azure's own tools read too.
const AzureVariable = "AZURE_STORAGE_CONNECTION_STRING"

// azureBucket keeps backups below a prefix of a container of Azure's Blob Storage.
type azureBucket struct {
	client       *azblob.Client
	name, prefix string
}

// openAzure takes azblob://CONTAINER/PREFIX.
func openAzure(u *url.URL, connection string) (backup.Bucket, error) {
	if connection == "" {
		return nil, fmt.Errorf("set %s to the connection string of the storage account", AzureVariable)
	}
	client, err := azblob.NewClientFromConnectionString(connection, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", AzureVariable, err)
	}
	return &azureBucket{client: client, name: u.Host, prefix: strings.Trim(u.Path, "/")}, nil
}

// Put implements backup.Bucket: a blob appears when it is complete.
func (b *azureBucket) Put(ctx context.Context, name string, content []byte) error {
	_, err := b.client.UploadBuffer(ctx, b.name, path.Join(b.prefix, name), content, nil)
	return err
}

// Get implements backup.Bucket.
func (b *azureBucket) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	res, err := b.client.DownloadStream(ctx, b.name, path.Join(b.prefix, name), nil)
	if bloberror.HasCode(err, bloberror.BlobNotFound) {
		return nil, fmt.Errorf("%s: %w", name, backup.ErrAbsent)
	}
	if err != nil {
		return nil, err
	}
	return res.NewRetryReader(ctx, nil), nil
}

// List implements backup.Bucket.
func (b *azureBucket) List(ctx context.Context) (ids []string, err error) {
	prefix := b.prefix
	if prefix != "" {
		prefix += "/"
	}
	pages := b.client.ServiceClient().NewContainerClient(b.name).NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{Prefix: &prefix})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		if page.Segment == nil {
			return nil, errors.New("the answer to a listing has no list")
		}
		for _, p := range page.Segment.BlobPrefixes {
			if p.Name != nil {
				ids = append(ids, strings.TrimSuffix(strings.TrimPrefix(*p.Name, prefix), "/"))
			}
		}
	}
	return ids, nil
}
