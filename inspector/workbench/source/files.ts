// Which files are fed to a model? All others are opened as one.
export const INPUT = /\.(png|jpe?g|bmp|gif|webp|tiff?|npy|npz|wav)$/i;
