// 8-bit RGB to YUV 4:4:4 in integers: coefficients of ITU-R BT.601 times 2^14, rounded to nearest.
typedef unsigned char byte;
constexpr int SHIFT = 14, HALF = 1 << (SHIFT - 1), OFFSET = 128 << SHIFT;

__device__ int clamp_to_byte(int v) { return min(max(v, 0), 255); }
__device__ int luma(int r, int g, int b) { return (4899 * r + 9617 * g + 1868 * b + HALF) >> SHIFT; }
__device__ int chroma(int colour, int y, int factor) {
    return clamp_to_byte(((colour - y) * factor + OFFSET + HALF) >> SHIFT);
}
__device__ int blue_difference(int b, int y) { return chroma(b, y, 8061); }
__device__ int red_difference(int r, int y) { return chroma(r, y, 14369); }

// One thread converts a whole row: lanes are a row apart.
extern "C" __global__ void yuv_row_a_thread(const byte* rgb, byte* yuv, int height, int width) {
    int row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= height) return;
    for (int column = 0; column < width; column++) {
        size_t at = 3 * ((size_t)row * width + column);
        int r = rgb[at], g = rgb[at + 1], b = rgb[at + 2], y = luma(r, g, b);
        yuv[at] = y;
        yuv[at + 1] = blue_difference(b, y);
        yuv[at + 2] = red_difference(r, y);
    }
}

// One thread a pixel; both images interleaved, so that lanes are 3 bytes apart.
extern "C" __global__ void yuv_pixel_a_thread(const byte* rgb, byte* yuv, int n_pixels) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n_pixels) return;
    int r = rgb[3 * i], g = rgb[3 * i + 1], b = rgb[3 * i + 2], y = luma(r, g, b);
    yuv[3 * i] = y;
    yuv[3 * i + 1] = blue_difference(b, y);
    yuv[3 * i + 2] = red_difference(r, y);
}

// The result in three planes: each store of a warp is 32 neighbouring bytes.
extern "C" __global__ void yuv_planar(const byte* rgb, byte* planes, int n_pixels) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n_pixels) return;
    int r = rgb[3 * i], g = rgb[3 * i + 1], b = rgb[3 * i + 2], y = luma(r, g, b);
    planes[i] = y;
    planes[n_pixels + i] = blue_difference(b, y);
    planes[2 * n_pixels + i] = red_difference(r, y);
}

// Four pixels a thread: 12 bytes come in as three words, 4 bytes go out to each plane as one uchar4.
extern "C" __global__ void yuv_vectorised(const byte* rgb, byte* planes, int n_pixels) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n_pixels / 4) return;
    const unsigned* words = (const unsigned*)rgb + 3 * i;
    unsigned word[3] = {words[0], words[1], words[2]};
    byte out[3][4];
    for (int p = 0; p < 4; p++) {
        int channel[3];
        for (int k = 0; k < 3; k++) channel[k] = word[(3 * p + k) / 4] >> (8 * ((3 * p + k) % 4)) & 255;
        int y = luma(channel[0], channel[1], channel[2]);
        out[0][p] = y;
        out[1][p] = blue_difference(channel[2], y);
        out[2][p] = red_difference(channel[0], y);
    }
    for (int k = 0; k < 3; k++) {
        ((uchar4*)(planes + (size_t)k * n_pixels))[i] = make_uchar4(out[k][0], out[k][1], out[k][2], out[k][3]);
    }
}
