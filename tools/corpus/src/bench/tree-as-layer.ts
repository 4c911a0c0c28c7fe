/** A shell function: the tree in `$tree`, with whiteouts by name if it has any, becomes a layer as it is, and is gone. */
export const treeAsLayer = `
tree_as_layer() {
  (cd "$tree" && find . -mindepth 1 -printf '%P\\n' | LC_ALL=C sort |
    tar -c --format=pax --pax-option=delete=atime,delete=ctime --numeric-owner --mtime=@$SOURCE_DATE_EPOCH \\
      --no-recursion -T - -f "$dir/layer.tar")
  umoci raw add-layer --image "$layout:latest" "$dir/layer.tar" >/dev/null
  rm -rf "$tree" "$dir/layer.tar"
}
`;
